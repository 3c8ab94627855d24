"""Chords: lengths of straight lines within a phase, along z, y and x."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from monai_app.progress import Progress
from monai_app.quantities.labels import Labels, Voxels
from monai_app.quantities.quantity import Cell, Measured, Panel, Quantity, Table

_MOST_CUT = 0.5
"""Share of the length in chords that are cut above which their distribution says little."""


class _Chords:
    """The chords along one axis, counted by value and length: (values, 1 + longest).

    Attributes:
        whole: those between two other phases.
        cut: the others, which extend beyond the segmented volume.
        ends: (values,), how many ends lie at another phase.
    """

    def __init__(self, size: int, longest: int) -> None:
        self.whole = np.zeros((size, longest + 1), np.int64)
        self.cut = np.zeros_like(self.whole)
        self.ends = np.zeros(size, np.int64)

    def add(self, before: Voxels, value: Voxels, after: Voxels, length: npt.NDArray[np.integer]) -> None:
        """Count chords by their values, those at their ends, and their lengths in voxels, each (chords,)."""
        inside, known = (before > 0) & (after > 0), value > 0
        for counts, chosen in ((self.whole, known & inside), (self.cut, known & ~inside)):
            keys = value[chosen] * np.int64(counts.shape[1]) + length[chosen]
            counts += np.bincount(keys, minlength=counts.size).reshape(counts.shape)
        for end in (before, after):
            self.ends += np.bincount(value[end > 0], minlength=len(self.ends))

    def add_rows(self, plane: Voxels) -> None:
        """Count the chords along the rows of a plane."""
        line = np.pad(plane, ((0, 0), (1, 1))).ravel()  # a 0 before and after each row ends its chords
        starts = np.flatnonzero(line[1:] != line[:-1]) + 1
        first = starts[:-1]
        self.add(line[first - 1], line[first], line[starts[1:]], np.diff(starts))


class _OpenChords:
    """Open chords along z, which extend beyond the planes read so far; 0 for none."""

    def __init__(self, size: int, shape: tuple[int, int, int]) -> None:
        self.chords = _Chords(size, shape[0])
        self._before, self._value = np.zeros(shape[1:], np.uint8), np.zeros(shape[1:], np.uint8)
        self._length = np.zeros(shape[1:], np.int32)

    def add(self, plane: Voxels) -> None:
        """End the chords of another value than the plane's, and lengthen the others."""
        ends = plane != self._value
        self.chords.add(self._before[ends], self._value[ends], plane[ends], self._length[ends])
        self._before[ends] = self._value[ends]
        self._value[ends] = plane[ends]
        self._length[ends] = 0
        self._length += 1


def measure(labels: Labels, progress: Progress) -> Measured:
    """Measure chords: their mean length along each axis, and the distribution of lengths.

    A chord is a run of voxels of one phase between two others on a line of the grid (Torquato and Lu 1993, doi
    10.1103/physreve.47.2950). Chords cut by the border, or by unsegmented voxels, are counted separately. The mean is
    free of that bias: the length in the phase, cut chords too, over half the number of ends at other phases.
    """
    _, rows, columns = labels.shape
    along_z = _OpenChords(labels.size, labels.shape)
    along_y, along_x = _Chords(labels.size, rows), _Chords(labels.size, columns)
    for _, (plane,) in labels.slabs(progress, 1):
        along_z.add(plane)
        along_y.add_rows(plane.T)
        along_x.add_rows(plane)
    along_z.add(np.zeros((rows, columns), np.uint8))
    return _measured(labels, dict(zip("zyx", (along_z.chords, along_y, along_x), strict=True)))


def _measured(labels: Labels, along: dict[str, _Chords]) -> Measured:
    means: dict[str, dict[str, Quantity]] = {}
    panels: list[Panel] = []
    rows: list[Sequence[Cell]] = []
    for (axis, chords), step in zip(along.items(), labels.voxel_um, strict=True):
        means[f"chord_mean_{axis}"] = {phase.name: _mean(chords, phase.value, step) for phase in labels.phases}
        longer = {phase.name: _longer(chords.whole[phase.value], step) for phase in labels.phases}
        panels.append(Panel(f"chords along {axis}", "length, um", "share of longer chords", longer))
        for phase in labels.phases:
            whole, cut = chords.whole[phase.value], chords.cut[phase.value]
            found = np.flatnonzero(whole + cut).tolist()
            rows += [(phase.name, axis, n, n * step, int(whole[n]), int(cut[n])) for n in found]
    columns = ("phase", "axis", "length_voxels", "length_um", "chords", "cut_chords")
    return Measured(means, {"chords": Table(columns, rows)}, panels)


def _mean(chords: _Chords, value: int, step: float) -> Quantity:
    lengths = np.arange(chords.whole.shape[1])
    whole, cut = (int(counts[value] @ lengths) for counts in (chords.whole, chords.cut))
    if not chords.ends[value]:
        return Quantity(None, "um", unreliable="no chord ends at another phase")
    share = cut / (whole + cut)
    reason = f"{share:.0%} of the length is in chords cut by the border" if share > _MOST_CUT else None
    return Quantity(float((whole + cut) * step / (chords.ends[value] / 2)), "um", unreliable=reason)


def _longer(counts: npt.NDArray[np.int64], step: float) -> tuple[list[float], list[float]]:
    """The share of chords longer than each length, from 0 to the longest one."""
    used = np.trim_zeros(counts, "b")
    shares = 1 - np.cumsum(used) / max(used.sum(), 1)
    return (np.arange(len(used)) * step).tolist(), shares.tolist()
