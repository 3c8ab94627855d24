"""Stacks and run folders of a leave-one-slice-out evaluation.

They lie beside the run, because what lies in a run folder belongs to what is trusted of it::

    <run>.leave_one_out/<stack>/slice_0021/<stack>.ome.zarr    the stack with this slice as its only test
                                           run/                the training without it
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from monai_app.bundle.recipe import Recipe, begin_run
from monai_app.bundle.run_folder import CHECKPOINT, read_record
from monai_app.errors import AnnotationError, ConfigError, TargetExistsError
from monai_app.stack import Stack, annotate, snapshot
from monai_app.stack.annotations.history import Role
from monai_app.training import is_finished

_log = logging.getLogger(__name__)

LEAST_SLICES = 3
"""Annotated slices: one is left out, and of the training on a single other one nothing could be concluded."""


@dataclass(frozen=True)
class Fold:
    """One training: on all annotated slices but one.

    Attributes:
        z: the slice that is left out.
        folder: of its stack and its run.
        name: of the stack's store.
    """

    z: int
    folder: Path
    name: str

    @property
    def stack(self) -> Path:
        """The stack with other roles."""
        return self.folder / f"{self.name}.ome.zarr"

    @property
    def run(self) -> Path:
        """Its run folder."""
        return self.folder / "run"


def folds_of(stack: Stack, run: Path) -> list[Fold]:
    """Return a fold for every annotated slice, whatever its role.

    Args:
        stack: the stack.
        run: run folder of which settings are taken.

    Raises:
        AnnotationError: too few slices are annotated.
        ConfigError: the run began with another model's weights, or is of several stacks.
    """
    record = read_record(run)
    if "pretrained" in record:
        raise ConfigError(
            f"{run} started from the weights of another model, which may have seen the slices that are to be left out; "
            "train without --from, and leave slices out of that run"
        )
    if not isinstance(record["settings"].get("trained_on"), dict):
        raise ConfigError(f"{run} was trained on several stacks; slices are left out of runs of one stack only")
    if len(stack.roles) < LEAST_SLICES:
        raise AnnotationError(
            f"{stack.path} has {len(stack.roles)} annotated slice(s), and leaving one out takes at least "
            f"{LEAST_SLICES}; annotate more"
        )
    place = run.with_name(f"{run.name}.leave_one_out") / stack.store_name
    return [Fold(z, place / f"slice_{z:04d}", stack.store_name) for z in sorted(stack.roles)]


def held_out(stack: Stack, fold: Fold) -> Stack:
    """Make the stack of a fold: the same pixels and annotations, and other roles.

    Raises:
        AppError: as `snapshot` and `annotate`, and where the stack was annotated since it was opened.
    """
    taken = snapshot(stack, fold.stack, overwrite=True)
    stack.check_unchanged()
    role: dict[int, Role] = {z: "test" if z == fold.z else "train" for z in stack.roles}
    changed = {z: taken.read_annotation(z) for z in role if role[z] != stack.roles[z]}
    return annotate(taken, changed, role=role, source="leave-one-out")


def ready(fold: Fold, stack: Stack, recipe: Recipe, processes: int) -> bool:
    """Make the run folder of a fold, or find one that can go on; one of other annotations or settings is replaced.

    Args:
        fold: the fold.
        stack: its stack, see `held_out`.
        recipe: how the model is trained.
        processes: how many will train together.

    Returns:
        Whether the training begins from the start.

    Raises:
        AppError: as `begin_run`.
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
    """Whether the training of a fold has come to its end; scores of one that has not may be there all the same."""
    return is_finished(fold.run / CHECKPOINT)
