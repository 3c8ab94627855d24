"""The labels that a mesh is made of: the part of a pyramid level that a region covers."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monai_app.domain.region import Rect, Region, Span
from monai_app.errors import ConfigError
from monai_app.progress import Progress
from monai_app.stack.ngff.pyramid import level_shapes
from monai_app.stack.saving.source import Source

BUDGET = 40_000_000
"""Voxels up to which a level is taken unasked: 140 bytes each in finely mixed phases, 5.6 GB in all."""


@dataclass(frozen=True)
class LevelRegion:
    """A region of a stack as a level has it: every ``step``-th row and column of it, and all slices.

    Attributes:
        level: the level, 0 the full one.
        region: the region, in voxels of the stack.
    """

    level: int
    region: Region

    @classmethod
    def choose(cls, region: Region, shape: tuple[int, int, int], level: int | None) -> "LevelRegion":
        """Take a level, or the finest one whose voxels in the region are within `BUDGET`.

        Args:
            region: the region.
            shape: (slices, rows, columns) of the stack.
            level: the level; None for the finest within the budget.

        Raises:
            ConfigError: there is no such level, or even the coarsest one exceeds the budget.
        """
        every = [cls(number, region) for number in range(len(level_shapes(*shape[1:])))]
        if level is not None:
            if not 0 <= level < len(every):
                raise ConfigError(f"--level {level}: the levels are 0 to {len(every) - 1}; choose one of them")
            return every[level]
        for each in every:
            if each.voxels <= BUDGET:
                return each
        raise ConfigError(
            f"level {every[-1].level}, the coarsest, has {every[-1].voxels / 1e6:.0f} million voxels, and more than "
            f"{BUDGET / 1e6:.0f} million are meshed only on request; give a part (--z, --y, --x), or --level "
            f"{every[-1].level}"
        )

    @property
    def step(self) -> int:
        """Rows and columns of the stack that one of the level stands for."""
        return int(2**self.level)

    @property
    def rect(self) -> Rect:
        """Its rows and columns, counted in those of the level."""
        y, x = (Span(span.start // self.step, -(-span.stop // self.step)) for span in (self.region.y, self.region.x))
        return Rect(y, x)

    @property
    def voxels(self) -> int:
        """Number of voxels that it has."""
        rows, columns = self.rect.shape
        return len(self.region.z) * rows * columns

    def read(self, source: Source, progress: Progress) -> npt.NDArray[np.uint8]:
        """Read the labels, slice by slice: (slices + 2, rows + 2, columns + 2), 0 around them.

        Raises:
            StackError: a chunk is damaged.
        """
        rows, columns = self.rect.shape
        volume = np.zeros((len(self.region.z) + 2, rows + 2, columns + 2), np.uint8)
        held = source.held_in(self.region.z)
        progress(0, len(held))
        for done, z in enumerate(held, 1):
            volume[z - self.region.z.start + 1, 1:-1, 1:-1] = source.stack.read_labels(
                source.labels, z, self.rect, level=self.level
            )
            progress(done, len(held))
        return volume

    def to_micrometres(
        self, points: npt.NDArray[np.floating], voxel_nm: tuple[float, float, float]
    ) -> npt.NDArray[np.float32]:
        """Points (N, 3) x, y, z in indices of what `read` gives, in micrometres from the centre of the first voxel.

        Pixels of a level are pixels of the stack, not means of several, so each lies where that one lies. What bounds
        the volume is moved onto the faces of the region, less than a pixel of the level away.
        """
        spans, steps = (self.region.x, self.region.y, self.region.z), (self.step, self.step, 1)
        counts = (*self.rect.shape[::-1], len(self.region.z))
        indices = (points - 1) * steps + [span.start // step * step for span, step in zip(spans, steps, strict=True)]
        indices[points > counts] = np.inf  # the last pixel of a level may stand for fewer
        inside = np.clip(indices, [span.start - 0.5 for span in spans], [span.stop - 0.5 for span in spans])
        return (inside * np.divide(voxel_nm[::-1], 1000)).astype(np.float32)
