"""Stacks and run folders of a leave-one-slice-out evaluation.

They are next to the run folder, because the trust in a run covers everything inside its folder::

    <run>.leave_one_out/<stack>/slice_0021/<stack>.ome.zarr    the stack with this slice as its only test
                                           run/                the training without it
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from monai_app.bundle.recipe import Recipe, begin_run
from monai_app.bundle.run_folder import CHECKPOINT, read_record
from monai_app.errors import AnnotationError, ConfigError, TargetExistsError
from monai_app.progress import counted
from monai_app.stack import Stack, annotate, snapshot
from monai_app.stack.annotations.history import Role
from monai_app.training import is_finished

_log = logging.getLogger(__name__)

LEAST_SLICES = 3
"""Minimum number of annotated slices: with two, each training would have a single slice."""


@dataclass(frozen=True)
class Fold:
    """One training: on all annotated slices but one.

    Attributes:
        z: the held-out slice.
        folder: contains its stack and its run.
        name: of the stack's store.
    """

    z: int
    folder: Path
    name: str

    @property
    def stack(self) -> Path:
        """Path of the stack with changed roles."""
        return self.folder / f"{self.name}.ome.zarr"

    @property
    def run(self) -> Path:
        """Its run folder."""
        return self.folder / "run"


def folds_of(stack: Stack, run: Path) -> list[Fold]:
    """Return a fold for every annotated slice, whatever its role.

    Args:
        stack: the stack.
        run: run folder whose settings are used.

    Raises:
        AnnotationError: too few slices are annotated.
        ConfigError: the run started from another model's weights, or was trained on several stacks.
    """
    record = read_record(run)
    if "pretrained" in record:
        raise ConfigError(
            f"{run} started from the weights of another model, which may have been trained on the held-out slices; "
            "train a run without pretrained (--from), and evaluate that"
        )
    if not isinstance(record["settings"].get("trained_on"), dict):
        raise ConfigError(f"{run} was trained on several stacks; leave-one-out needs a run of one stack")
    if len(stack.roles) < LEAST_SLICES:
        raise AnnotationError(
            f"{stack.path} has {counted(len(stack.roles), 'annotated slice')}, and leave-one-out needs at least "
            f"{LEAST_SLICES}; annotate more"
        )
    place = run.with_name(f"{run.name}.leave_one_out") / stack.store_name
    return [Fold(z, place / f"slice_{z:04d}", stack.store_name) for z in sorted(stack.roles)]


def held_out(stack: Stack, fold: Fold) -> Stack:
    """Create the stack of a fold: the same pixels and annotations with changed roles.

    Raises:
        AppError: see `snapshot` and `annotate`; or the stack was annotated since it was opened.
    """
    taken = snapshot(stack, fold.stack, overwrite=True)
    stack.check_unchanged()
    role: dict[int, Role] = {z: "test" if z == fold.z else "train" for z in stack.roles}
    changed = {z: taken.read_annotation(z) for z in role if role[z] != stack.roles[z]}
    return annotate(taken, changed, role=role, source="leave-one-out")


def ready(fold: Fold, stack: Stack, recipe: Recipe, processes: int) -> bool:
    """Create the run folder of a fold, or find one to resume; one of other annotations or settings is replaced.

    Args:
        fold: the fold.
        stack: its stack, see `held_out`.
        recipe: how the model is trained.
        processes: number of processes that train together.

    Returns:
        Whether the training starts from scratch.

    Raises:
        AppError: see `begin_run`.
    """

    def begin(*, overwrite: bool) -> bool:
        _, new = begin_run(
            recipe.template,
            [stack],
            fold.run,
            size=recipe.size,
            settings=recipe.settings,
            processes=processes,
            pretrained=None,
            trust=False,
            overwrite=overwrite,
            report=_log.info,
        )
        return new

    try:
        return begin(overwrite=False)
    except TargetExistsError:
        return begin(overwrite=True)


def is_trained(fold: Fold) -> bool:
    """Whether the training of a fold is finished; an unfinished one may have scores, too."""
    return is_finished(fold.run / CHECKPOINT)
