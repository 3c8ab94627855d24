"""``monai-app evaluate``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monai_app.cli.logs import Quiet, Verbose, Verbosity
from monai_app.cli.options import Device, Json, Parts, Run, Stacks, stacks_and_run, stand_ins
from monai_app.errors import ConfigError

if TYPE_CHECKING:
    from monai_app.stack import Stack


def evaluate(
    paths: Stacks,
    run: Run = None,
    detector: Parts = None,
    processes: Annotated[
        int, typer.Option(help="Processes on this machine, one a GPU; they share the test slices.")
    ] = 1,
    amp: Annotated[bool | None, typer.Option(help="Mixed precision. [default: on a GPU]")] = None,
    device: Device = None,
    left_out: Annotated[
        bool, typer.Option("--leave-one-out", help="Score each annotated slice by a model trained on the others.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Score a trained model on the test slices of one stack or several.

    With --leave-one-out one model is trained for each annotated slice, with the run's settings. The same command
    resumes what was stopped.
    """
    from monai_app.bundle.launch import check_processes
    from monai_app.bundle.model import read_spec
    from monai_app.bundle.stacks import check_different, tell_what_is_unfamiliar
    from monai_app.cli.running import checked_device, run_command, run_trusted, trained_run
    from monai_app.stack import Stack
    from monai_app.storage import check_writable
    from monai_app.training.evaluation import pooled_path, read_document
    from monai_app.training.evaluation.text import pooled_lines

    verbosity = Verbosity.of(quiet=quiet, verbose=verbose)
    check_processes(processes)
    verbosity.start()
    device = checked_device(device, processes)
    stacks, given = stacks_and_run(paths, run)
    run = trained_run(given)
    opened, parts = [Stack.open(stack) for stack in stacks], stand_ins(detector)
    place = pooled_path(given, stand_ins=bool(parts)).parent
    check_writable(place, "scores go into the run folder: copy it to a place that you can write to")
    check_different(opened)
    options: dict[str, object] = {"amp": amp, "device": device}
    if left_out:
        _leave_one_out(opened, given, parts, processes, verbosity, json, options)
        return
    spec = read_spec(run / "configs" / "metadata.json").reading(parts)
    for each in opened:
        tell_what_is_unfamiliar(spec, each)
    options["stand_ins"] = parts or None
    if run != given.absolute():  # of an earlier version and left as it is: a temporary copy is evaluated
        options["output_dir"] = str(given.absolute() / "eval")
    command = run_command(run, [each.path for each in opened], ("train", "evaluate"), processes, **options)
    run_trusted(run, command, verbosity)
    document = pooled_path(given.absolute(), stand_ins=bool(parts))
    if json:
        typer.echo(document.read_text(encoding="utf8").rstrip())
        return
    for line in pooled_lines(read_document(document)):
        typer.echo(line)
    typer.echo(f"scores: {document.with_suffix('.csv')}")


def _leave_one_out(
    stacks: Sequence["Stack"],
    run: Path,
    parts: Mapping[str, str],
    processes: int,
    verbosity: Verbosity,
    json: bool,
    options: Mapping[str, object],
) -> None:
    from monai_app.cli.results.leave_one_out import leave_one_out

    if len(stacks) > 1 or parts:
        what = "--detector" if parts else ", ".join(str(stack.path) for stack in stacks)
        raise ConfigError(f"{what}: --leave-one-out trains on one stack and its own detectors; give one, without more")
    leave_one_out(stacks[0], run.absolute(), processes, verbosity, json, **options)
