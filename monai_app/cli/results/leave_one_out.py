"""``monai-app evaluate --leave-one-out``."""

from pathlib import Path

import typer

from monai_app.api.running import run_command, run_trusted
from monai_app.bundle.configs.templates import NO_SIZE
from monai_app.bundle.configs.trust import trusted_copy
from monai_app.bundle.leave_one_out import Fold, folds_of, held_out, is_trained, ready, write_summary
from monai_app.bundle.recipe import Recipe, read_recipe
from monai_app.bundle.run_folder import describe_again
from monai_app.cli.running import log_to_console, show
from monai_app.errors import FailedError
from monai_app.stack import Stack
from monai_app.storage import check_writable
from monai_app.training.evaluation import SECTIONS, StackScores, read_document, read_stack_scores
from monai_app.training.evaluation.text import leave_one_out_lines


def leave_one_out(stack: Stack, run: Path, processes: int, **options: object) -> None:
    """Train without each annotated slice in turn, score it, and show the scores of all.

    What was done before, by the same settings and annotations, is not done again.
    """
    folds, recipe = folds_of(stack, run), read_recipe(run, NO_SIZE, {})
    check_writable(folds[0].folder, "trainings go beside the run folder: copy it to a place that you can write to")
    log_to_console()
    found = []
    for number, fold in enumerate(folds, 1):
        typer.echo(f"slice {fold.z} is left out ({number} of {len(folds)}): {fold.run}")
        found.append(_scores(fold, stack, recipe, processes, options))
    document = write_summary(run, stack, found)
    for line in leave_one_out_lines(read_document(document)):
        typer.echo(line)
    typer.echo(f"scores: {document.with_suffix('.csv')}")


def _scores(fold: Fold, stack: Stack, recipe: Recipe, processes: int, options: dict[str, object]) -> StackScores:
    """Train and score a fold, as ``monai-app train`` and ``evaluate`` do, where that is not done."""
    own = held_out(stack, fold)
    new = ready(fold, own, recipe, processes)
    scored = None if new or not is_trained(fold) else read_stack_scores(fold.run, own.identity, SECTIONS)
    if scored is not None:
        return scored
    with trusted_copy(fold.run) as copy:
        if not new:
            describe_again(fold.run, copy / "configs")
    for configs in (("train",), ("train", "evaluate")):
        run_trusted(fold.run, run_command(fold.run, [own.path], configs, processes, **options), show)
    scored = read_stack_scores(fold.run, own.identity, SECTIONS)
    if scored is None:
        raise FailedError(f"{fold.run} was trained or evaluated by another process too; run the same command again")
    return scored
