"""``monai-app evaluate``."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from monai_app.cli.options import Device


def evaluate(
    stack: Annotated[Path, typer.Argument(help="Ingested stack, NAME.ome.zarr.")],
    run: Annotated[Path, typer.Argument(help="Run folder with trained weights.")],
    processes: Annotated[
        int, typer.Option(help="Processes on this machine, one a GPU; they share the test slices.")
    ] = 1,
    amp: Annotated[bool | None, typer.Option(help="Mixed precision. [default: on a GPU]")] = None,
    device: Device = None,
) -> None:
    """Score trained weights on the stack's test slices."""
    from monai_app.bundle.launch import check_processes
    from monai_app.cli.running import checked_device, run_command, show_and_run, trained_run
    from monai_app.stack import Stack
    from monai_app.storage import check_writable

    check_processes(processes)
    device = checked_device(device, processes)
    given, run = run, trained_run(run)
    check_writable(given / "eval", "scores go into the run folder: copy it to a place that you can write to")
    stack = Stack.open(stack).path
    show_and_run(run, run_command(run, stack, ("train", "evaluate"), processes, amp=amp, device=device))
    _show_scores(json.loads((run / "eval" / "scores.json").read_text(encoding="utf8")))
    typer.echo(f"scores: {run / 'eval' / 'scores.csv'}")


def _show_scores(scores: dict[str, Any]) -> None:
    typer.echo(f"{'phase':<16}{'IoU':>8}{'Dice':>8}{'precision':>11}{'recall':>8}{'fraction error':>16}")
    for row in scores["phases"]:
        cells = [_number(row[key]) for key in ("iou", "dice", "precision", "recall", "fraction_error")]
        typer.echo(f"{row['phase']:<16}{cells[0]:>8}{cells[1]:>8}{cells[2]:>11}{cells[3]:>8}{cells[4]:>16}")
    typer.echo(f"mean IoU {_number(scores['mean_iou'])}, pixel accuracy {_number(scores['pixel_accuracy'])}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
