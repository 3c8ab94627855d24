"""``monai-app evaluate``."""

from typing import Annotated

import typer

from monai_app.cli.logs import Quiet, Verbose, Verbosity
from monai_app.cli.options import Device, Json, Parts, Run, Stacks, stacks_and_run, stand_ins


def evaluate(
    paths: Stacks,
    run: Run = None,
    detector: Parts = None,
    processes: Annotated[
        int, typer.Option(help="Processes on this machine, one per GPU; they share the test slices.")
    ] = 1,
    amp: Annotated[bool | None, typer.Option(help="Mixed precision. [default: on a GPU]")] = None,
    device: Device = None,
    left_out: Annotated[
        bool, typer.Option("--leave-one-out", help="Score each annotated slice with a model trained on the others.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Score a trained model on the test slices of one stack or several.

    With --leave-one-out, one model is trained per annotated slice with the run's settings; run the same command to
    resume it.
    """
    from monai_app.api.evaluation import evaluate as evaluate_run
    from monai_app.training.evaluation.text import leave_one_out_lines, pooled_lines

    verbosity = Verbosity.of(quiet=quiet, verbose=verbose)
    verbosity.start()
    stacks, run = stacks_and_run(paths, run)
    scores = evaluate_run(
        stacks,
        run,
        detectors=stand_ins(detector),
        leave_one_out=left_out,
        processes=processes,
        amp=amp,
        device=device,
        show=verbosity.show,
        log_config=verbosity.config,
    )
    if json:
        typer.echo(scores.path.read_text(encoding="utf8").rstrip())
        return
    for line in (leave_one_out_lines if left_out else pooled_lines)(scores.document):
        typer.echo(line)
    typer.echo(f"scores: {scores.path.with_suffix('.csv')}")
