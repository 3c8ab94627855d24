"""``monai-app evaluate``."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from monai_app.cli.options import Device, Parts, Run, Stacks, stacks_and_run, stand_ins


def evaluate(
    paths: Stacks,
    run: Run = None,
    detector: Parts = None,
    processes: Annotated[
        int, typer.Option(help="Processes on this machine, one a GPU; they share the test slices.")
    ] = 1,
    amp: Annotated[bool | None, typer.Option(help="Mixed precision. [default: on a GPU]")] = None,
    device: Device = None,
) -> None:
    """Score trained weights on a stack's test slices, or on those of several."""
    from monai_app.bundle.launch import check_processes
    from monai_app.bundle.model import read_spec
    from monai_app.bundle.stacks import check_different, tell_what_is_unfamiliar
    from monai_app.cli.running import checked_device, run_command, show_and_run, trained_run
    from monai_app.stack import Stack
    from monai_app.storage import check_writable
    from monai_app.training.evaluation import pooled_path

    check_processes(processes)
    device = checked_device(device, processes)
    stacks, given = stacks_and_run(paths, run)
    run = trained_run(given)
    check_writable(given / "eval", "scores go into the run folder: copy it to a place that you can write to")
    opened, parts = [Stack.open(stack) for stack in stacks], stand_ins(detector)
    check_different(opened)
    spec = read_spec(run / "configs" / "metadata.json").reading(parts)
    for each in opened:
        tell_what_is_unfamiliar(spec, each)
    options = {"amp": amp, "device": device, "stand_ins": parts or None}
    show_and_run(run, run_command(run, [each.path for each in opened], ("train", "evaluate"), processes, **options))
    document = pooled_path(run, stand_ins=bool(parts))
    for line in _lines(json.loads(document.read_text(encoding="utf8"))):
        typer.echo(line)
    typer.echo(f"scores: {document.with_suffix('.csv')}")


def _lines(scores: dict[str, Any]) -> Iterator[str]:
    """The scores of every slice and stack, then those of all together."""
    for part in scores["parts"]:
        place = part["stack"] if part["slice"] is None else f"{part['stack']}, slice {part['slice']}"
        yield f"{place}: {_summary(part)}"
    yield f"all together, {_counted(len(scores['stacks']), 'stack')}:"
    yield f"{'phase':<16}{'IoU':>8}{'Dice':>8}{'precision':>11}{'recall':>8}{'fraction error':>16}"
    for row in scores["phases"]:
        cells = [_number(row[key]) for key in ("iou", "dice", "precision", "recall", "fraction_error")]
        yield f"{row['phase']:<16}{cells[0]:>8}{cells[1]:>8}{cells[2]:>11}{cells[3]:>8}{cells[4]:>16}"
    yield _summary(scores)
    if "confidence" in scores:
        told, errors = scores["confidence"]["temperature"], scores["confidence"]["mean"]
        how = "not calibrated" if told is None else f"temperature {told:.3f}; {errors['ece_uncalibrated']:.4f} without"
        yield f"calibration error of the confidence {_number(errors['ece_calibrated'])} ({how})"


def _summary(scores: dict[str, Any]) -> str:
    return f"mean IoU {_number(scores['mean_iou'])}, pixel accuracy {_number(scores['pixel_accuracy'])}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
