"""``monai-app evaluate``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from monai_app.cli.options import Device, Parts, Run, Stacks, stacks_and_run, stand_ins
from monai_app.errors import ConfigError


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
) -> None:
    """Score a trained model on the test slices of one stack or several.

    With --leave-one-out one model is trained for each annotated slice, with the run's settings. The same command
    resumes what was stopped.
    """
    from monai_app.api.evaluation import evaluate as evaluate_run
    from monai_app.cli.running import show
    from monai_app.training.evaluation.text import pooled_lines

    stacks, run = stacks_and_run(paths, run)
    parts = stand_ins(detector)
    if left_out:
        _leave_one_out(stacks, run, parts, processes, amp=amp, device=device)
        return
    scores = evaluate_run(stacks, run, detectors=parts, processes=processes, amp=amp, device=device, show=show)
    for line in pooled_lines(scores.document):
        typer.echo(line)
    typer.echo(f"scores: {scores.path.with_suffix('.csv')}")


def _leave_one_out(
    paths: Sequence[Path],
    run: Path,
    parts: Mapping[str, str],
    processes: int,
    *,
    amp: bool | None,
    device: str | None,
) -> None:
    from monai_app.api.evaluation import check_scorable
    from monai_app.api.running import checked_device, trained_run
    from monai_app.bundle.launch import check_processes
    from monai_app.cli.results.leave_one_out import leave_one_out
    from monai_app.stack import Stack

    check_processes(processes)
    device = checked_device(device, processes)
    trained_run(run)
    stacks = [*map(Stack.open, paths)]
    check_scorable(stacks, run, stand_ins=bool(parts))
    if len(stacks) > 1 or parts:
        what = "--detector" if parts else ", ".join(str(stack.path) for stack in stacks)
        raise ConfigError(f"{what}: --leave-one-out trains on one stack and its own detectors; give one, without more")
    leave_one_out(stacks[0], run.absolute(), processes, amp=amp, device=device)
