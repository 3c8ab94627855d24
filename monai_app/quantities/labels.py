"""Labels to measure, read in blocks from a label image of a stack or an array."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import accumulate, groupby, pairwise

import numpy as np
import numpy.typing as npt

from monai_app.domain.numbering import step_of
from monai_app.domain.phase import Phase, check_phases
from monai_app.domain.region import Region, Span
from monai_app.errors import ConfigError, StackError
from monai_app.progress import Progress, silent
from monai_app.stack.label_images.registry import read_phases
from monai_app.stack.label_images.resumable import finished_as
from monai_app.stack.mask import Mask
from monai_app.stack.store import Stack

Voxels = npt.NDArray[np.uint8]
"""Labels (z, y, x): 0 is not segmented and ignored, other values are phases."""

BLOCK = 2**25
"""Voxels of a block, unless a measure asks for others."""


class Labels(ABC):
    """Labels that can be read block by block.

    Attributes:
        phases: what the values mean.
        voxel_nm: voxel size z, y, x in nm.
        planes: z, in the stack, of every plane; None for a plane of zeros in a gap of the stack, so that nothing is
        measured across it.
        shape: (planes, rows, columns).

    Raises:
        ConfigError: the values of the phases are not 1, 2, 3, ..., or two have the same name.
    """

    def __init__(
        self,
        phases: Sequence[Phase],
        voxel_nm: tuple[float, float, float],
        planes: Sequence[int | None],
        rows: int,
        columns: int,
    ) -> None:
        self.phases, self.voxel_nm, self.planes = check_phases(tuple(phases)), voxel_nm, tuple(planes)
        self.shape = (len(self.planes), rows, columns)
        self._counts: npt.NDArray[np.int64] | None = None

    @property
    def stack(self) -> Stack | None:
        """The stack that they belong to; None for arrays."""
        return None

    @property
    def size(self) -> int:
        """One more than the highest value of a phase: the length of a table of values."""
        return len(self.phases) + 1

    @property
    def voxel_um(self) -> tuple[float, float, float]:
        """Voxel size z, y, x in micrometres."""
        z, y, x = self.voxel_nm
        return z / 1000, y / 1000, x / 1000

    @property
    def has_gaps(self) -> bool:
        """Whether slices are missing between others."""
        return None in self.planes

    @property
    def series(self) -> list[Span]:
        """The planes of every series of slices of which none is missing."""
        known = groupby(range(len(self.planes)), key=lambda plane: self.planes[plane] is not None)
        runs = [[*run] for inside, run in known if inside]
        return [Span(run[0], run[-1] + 1) for run in runs]

    def depth_um(self, z: int) -> float:
        """Return the depth of slice ``z`` below the first one."""
        return z * self.voxel_um[0]

    @abstractmethod
    def read(self, block: Region) -> Voxels:
        """Return the labels of a block of the planes, rows and columns of `shape`.

        Raises:
            StackError: a chunk is damaged.
        """

    def slabs(self, progress: Progress = silent, voxels: int = BLOCK) -> Iterator[tuple[Region, Voxels]]:
        """Yield all labels in blocks of complete planes, in order.

        Args:
            progress: called for every block.
            voxels: of a block at most, unless a plane has more.
        """
        planes, rows, columns = self.shape
        progress(0, planes)
        for z in Span(0, planes).split(max(voxels // (rows * columns), 1)):
            block = Region(z, Span(0, rows), Span(0, columns))
            yield block, self.read(block)
            progress(z.stop, planes)

    def count(self, progress: Progress = silent) -> npt.NDArray[np.int64]:
        """Count the voxels of every plane with each value: (planes, `size`). The first call reads all of it."""
        if self._counts is None:
            planes = (plane for _, (plane,) in self.slabs(progress, 1))
            self._counts = np.stack([np.bincount(plane.ravel(), minlength=self.size) for plane in planes])
        return self._counts


class ArrayLabels(Labels):
    """Labels that are held in memory.

    Args:
        voxels: (z, y, x) uint8, 0 or the value of a phase.
        voxel_nm: voxel size z, y, x in nm.
        phases: what the values mean, in the order of their values.

    Raises:
        ConfigError: the values of the phases are not 1, 2, 3, ..., or two have the same name.
        StackError: the array is of another type, or holds a value above the phases'.
    """

    def __init__(self, voxels: Voxels, voxel_nm: tuple[float, float, float], phases: Sequence[Phase]) -> None:
        planes, rows, columns = voxels.shape
        super().__init__(phases, voxel_nm, range(planes), rows, columns)
        if voxels.dtype != np.uint8 or voxels.max(initial=0) >= self.size:
            raise StackError(
                f"the labels are {voxels.dtype} up to {voxels.max(initial=0)} and must be uint8, 0 or a phase up to "
                f"{self.size - 1}; convert them, or name all phases"
            )
        self._voxels = voxels

    def read(self, block: Region) -> Voxels:
        """Return a block."""
        return self._voxels[block.index]


class StoredLabels(Labels):
    """A region of a finished label image of a stack.

    Args:
        stack: the stack.
        name: the label image's name.
        region: the part that is measured; None for all.
        mask: what of it: name of a label image, or path of an image file; None for all.

    Raises:
        ConfigError: the region or the mask does not fit the stack.
        StackError: there is no finished label image of that name, or it has no phases.
    """

    def __init__(self, stack: Stack, name: str, region: Region | None = None, mask: str | None = None) -> None:
        self.attributes = stack.label_attributes(name)
        self.name, self.region = name, Region.whole(stack.shape) if region is None else region
        self.region.check_within(stack.shape)
        phases = read_phases(stack.path, name)
        if not phases:
            raise StackError(
                f"label image {name!r} of {stack.path.name} has no phases to measure; segment with a model that has "
                "phases"
            )
        self.mask = Mask(stack, mask)
        self._stack, self._made = stack, finished_as(stack.path, name)
        gaps = {z for z in stack.gaps if z > self.region.z.start}
        planes = [plane for z in self.region.z.range for plane in ((None, z) if z in gaps else (z,))]
        super().__init__(phases, stack.voxel_nm, planes, *self.region.rect.shape)
        self._positions = _slice_positions(stack)

    @property
    def stack(self) -> Stack:
        """The stack that they belong to."""
        return self._stack

    def depth_um(self, z: int) -> float:
        """Return how far slice ``z`` lies from the first one: across a gap by the numbers of the slices."""
        return self._positions[z] * self.voxel_um[0]

    def read(self, block: Region) -> Voxels:
        """Return a block, with 0 outside the mask."""
        rect = Region(block.z, block.y.shift(self.region.y.start), block.x.shift(self.region.x.start)).rect
        voxels = np.zeros(block.shape, np.uint8)
        for plane, z in zip(voxels, self.planes[block.z.index], strict=True):
            if z is not None:
                kept = self.mask.read(z, rect)
                plane[...] = self._stack.read_labels(self.name, z, rect)
                if kept is not None:
                    plane *= kept
        return voxels

    def check(self) -> None:
        """Check after reading that stack, labels and mask were not replaced since they were opened.

        Raises:
            StackError: the stack or the labels were replaced meanwhile.
            ConfigError: the mask was.
        """
        self.mask.check()
        self._stack.check_unchanged()
        if finished_as(self._stack.path, self.name) != self._made:
            raise StackError(
                f"labels {self.name!r} of {self._stack.path} were replaced during the measurement, so nothing is "
                "written; run the same command again"
            )


def _slice_positions(stack: Stack) -> list[float]:
    """Where every slice lies, in steps from the first one; numbers that jump count at gaps alone."""
    numbers = [Decimal(str(number)) for number in stack.slice_numbers]
    step = step_of(numbers)
    steps = (
        float((after - before) / step) if z in stack.gaps else 1.0
        for z, (before, after) in enumerate(pairwise(numbers), 1)
    )
    return [*accumulate(steps, initial=0.0)]


def check_labelled(labels: Labels, progress: Progress = silent) -> None:
    """Check that the labels are not 0 everywhere.

    Raises:
        ConfigError: nothing in them is segmented.
    """
    if not labels.count(progress)[:, 1:].any():
        raise ConfigError(
            "nothing is segmented in the region to measure (all labels are 0); choose another region "
            "(--z, --y, --x), mask (--mask) or label image (--labels)"
        )
