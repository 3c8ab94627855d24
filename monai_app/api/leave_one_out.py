"""Score every annotated slice with a model trained on the others."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from monai_app.api.given import LogConfig, Show
from monai_app.api.running import run_command, run_trusted
from monai_app.bundle.configs.templates import NO_SIZE
from monai_app.bundle.configs.trust import trusted_copy
from monai_app.bundle.leave_one_out import Fold, folds_of, held_out, is_trained, ready, write_summary
from monai_app.bundle.recipe import Recipe, read_recipe
from monai_app.bundle.run_folder import describe_again
from monai_app.errors import FailedError
from monai_app.stack import Stack
from monai_app.storage import check_writable
from monai_app.training.evaluation import SECTIONS, StackScores, read_stack_scores

_log = logging.getLogger(__name__)

_Call = Callable[[Fold, Stack, Sequence[str]], None]


def score_each_left_out(
    stack: Stack,
    run: Path,
    processes: int,
    options: Mapping[str, object],
    show: Show,
    log_config: LogConfig | None,
) -> Path:
    """Train without each annotated slice and score the model on it.

    Results of the same settings and annotations are reused.

    Args:
        stack: the stack.
        run: absolute path of the run folder whose settings are used.
        processes: of each training, on this machine.
        options: ids or options of MONAI's ``run``.
        show: called with each ``python -m monai.bundle run`` command.
        log_config: returns a config of Python's ``logging`` for a stream, which MONAI applies; None leaves logging
            unchanged.

    Returns:
        The document of the scores of all slices.

    Raises:
        AppError: a training failed or was stopped, or the folder cannot be written to.
    """
    folds, recipe = folds_of(stack, run), read_recipe(run, NO_SIZE, {})
    check_writable(folds[0].folder, "trainings are written next to the run folder: copy it to a writable place")

    def call(fold: Fold, own: Stack, configs: Sequence[str]) -> None:
        command = run_command(fold.run, [own.path], configs, processes, **options)
        run_trusted(fold.run, command, show, log_config)

    found = []
    for number, fold in enumerate(folds, 1):
        _log.info("slice %d is left out (%d of %d): %s", fold.z, number, len(folds), fold.run)
        found.append(_scores(fold, stack, recipe, processes, call))
    return write_summary(run, stack, found)


def _scores(fold: Fold, stack: Stack, recipe: Recipe, processes: int, call: _Call) -> StackScores:
    """Train and score a fold, as ``monai-app train`` and ``evaluate`` do, unless it is complete."""
    own = held_out(stack, fold)
    new = ready(fold, own, recipe, processes)
    scored = None if new or not is_trained(fold) else read_stack_scores(fold.run, own.identity, SECTIONS)
    if scored is not None:
        return scored
    with trusted_copy(fold.run) as copy:
        if not new:
            describe_again(fold.run, copy / "configs")
    for configs in (("train",), ("train", "evaluate")):
        call(fold, own, configs)
    scored = read_stack_scores(fold.run, own.identity, SECTIONS)
    if scored is None:
        raise FailedError(f"{fold.run} was also trained or evaluated by another process; run the same command again")
    return scored
