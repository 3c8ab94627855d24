"""Where voxels lie, and placing a label volume that another program saved by its geometry.

Physical space is LPS, as in ITK: x are the columns, y the rows (downwards), z the slices, directions are the identity.
So 3D Slicer shows a slice as the microscope does. Lengths are micrometres.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from monai_app.errors import AnnotationError, StackError

Labels = npt.NDArray[np.uint8]
"""Label values: (slices, rows, columns)."""

Affine = npt.NDArray[np.float64]
"""4 x 4, from the index x, y, z in the file to LPS."""

SAME_PLACE = 0.01
"""How far the outermost voxels of two volumes may lie apart, in voxels: files keep geometry in 32 bits."""

_IN_MICROMETRES = {"unknown": (1.0,), "micron": (1.0,), "mm": (1.0, 1000.0)}
"""Unit that a file names -> factors to micrometres that its numbers may ask for.

The numbers of our files are micrometres without a unit (see `write_volume`), which most programs call mm.
"""

_OTHER_DIRECTION = 0.01
"""How far a direction may be from its axis: files keep turns in 32 bits."""


@dataclass(frozen=True, eq=False)
class Extent:
    """Where the voxels of a volume lie, however its axes are turned.

    Args:
        shape: (slices, rows, columns) or (slices, rows, columns, detectors): the axes z, y, x of the file.
        affine: 4 x 4, from the index x, y, z in the file to LPS.
        unit: unit of lengths that the file names: "unknown", "micron", "mm" or another one.
    """

    shape: tuple[int, ...]
    affine: Affine
    unit: str = "unknown"


@dataclass(frozen=True)
class Grid:
    """Where the voxels of a volume lie.

    Args:
        shape: (slices, rows, columns).
        spacing_um: distance of voxels in z, y, x in micrometres.
        origin_um: centre of the first voxel in z, y, x in micrometres.

    Example:
        >>> Grid((3, 20, 30), (0.02, 0.01, 0.01), (0.1, 0.0, 0.0)).affine[2].tolist()
        [0.0, 0.0, 0.02, 0.1]
    """

    shape: tuple[int, int, int]
    spacing_um: tuple[float, float, float]
    origin_um: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def affine(self) -> Affine:
        """4 x 4, from the index x, y, z to LPS."""
        affine = np.diag((*self.spacing_um[::-1], 1.0))
        affine[:3, 3] = self.origin_um[::-1]
        return affine

    @property
    def extent(self) -> Extent:
        """Where its voxels lie."""
        return Extent(self.shape, self.affine, "micron")


@dataclass(frozen=True, eq=False)
class Volume:
    """A volume as it stands in a file: pixels of the shape, and the place, that `Extent` describes.

    ``segments`` are the names that the file gives to label values, if it does.
    """

    pixels: npt.NDArray[np.generic]
    affine: Affine
    unit: str = "unknown"
    segments: Mapping[int, str] = field(default_factory=dict)

    @property
    def extent(self) -> Extent:
        """Where its voxels lie."""
        return Extent(self.pixels.shape, self.affine, self.unit)


def on_grid(volume: Volume, grid: Grid) -> Labels:
    """Place a label volume on a grid by its geometry.

    Axes may be permuted or flipped, and the volume may be cropped or padded by whole voxels. What it does not
    cover is 0.

    Args:
        volume: integers 0..255, of an integer or a floating-point type.
        grid: where the labels belong.

    Returns:
        (slices, rows, columns) of the grid, uint8.

    Raises:
        AnnotationError: more than three axes, other values, another voxel size, oblique directions, a shift by parts of
            a voxel, labels outside the grid.
    """
    _check_axes(volume.pixels.shape)
    turn = _turn(volume.extent, grid.extent)
    found = as_labels(volume.pixels)
    turned = found.transpose(2, 1, 0).transpose(turn.axes)  # x, y, z of the grid
    turned = np.flip(turned, tuple(axis for axis in range(3) if turn.flipped[axis]))
    return _paste(turned.transpose(2, 1, 0), turn.corner, grid)


def check_covers(labels: Extent, image: Extent) -> None:
    """Check that a label volume has the voxels of an image and no others; axes may be permuted or flipped.

    Raises:
        AnnotationError: more than three axes, or other voxels.
    """
    _check_axes(labels.shape)
    turn = _turn(labels, image)
    shape = tuple(labels.shape[::-1][axis] for axis in turn.axes)[::-1]
    if shape != image.shape[:3] or any(turn.corner):
        raise AnnotationError(
            f"the labels cover {shape} voxels (slices, rows, columns) from {turn.corner} and the image has "
            f"{image.shape[:3]}; save labels of the whole image, and of nothing else"
        )


def first_voxel(labels: Extent, grid: Grid) -> tuple[int, int, int]:
    """The slice, row and column of a grid at which the first voxel of an upright label volume lies; it may be outside.

    Args:
        labels: where the labels' voxels lie, see `check_upright`.
        grid: where the labels belong.

    Raises:
        AnnotationError: another voxel size, or a shift by parts of a voxel.
    """
    return _turn(labels, grid.extent).corner


def check_upright(affine: Affine) -> None:
    """Check that columns, rows and slices run along x, y and z, so that the pixels lie as every program shows them.

    Raises:
        StackError: the axes are permuted, flipped or oblique.
    """
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    if np.abs(directions - np.eye(3)).max() > _OTHER_DIRECTION:
        raise StackError(
            f"its voxels are {_described(affine)} in LPS, so viewers show its pixels rotated or mirrored, and "
            "the intended orientation is unknown; save it along (1 0 0), (0 1 0), (0 0 1), either as stored (nibabel: "
            "affine diag(-1, -1, 1, 1) times the spacing, or None) or as shown (SimpleITK: DICOMOrient(image, 'LPS'))"
        )


def apart(first: Affine, other: Affine, shape: tuple[int, ...]) -> float:
    """How far apart two volumes of a shape (columns, rows, slices) lie, in voxels, at the corner where it is most."""
    return float((np.abs(np.linalg.solve(first, other - first))[:3] @ [*shape, 1]).max())


def _check_axes(shape: tuple[int, ...]) -> None:
    if len(shape) != 3:
        raise AnnotationError(
            f"the labels have shape {shape} and must have three axes, one value per voxel; save them as one label map "
            "(without overlapping segments)"
        )


@dataclass(frozen=True)
class _Turn:
    """How a volume lies on a grid.

    Args:
        axes: the axis in the file (of x, y, z) that is x, y, z of the grid.
        flipped: whether x, y, z of the grid run against it.
        corner: the slice, row and column of the grid where the turned volume begins.
    """

    axes: tuple[int, ...]
    flipped: tuple[bool, ...]
    corner: tuple[int, int, int]


def _turn(found: Extent, wanted: Extent) -> _Turn:
    step, first = _steps(found, wanted)
    axes = tuple(int(np.flatnonzero(step[axis])[0]) for axis in range(3))
    flipped = tuple(bool(step[axis, axes[axis]] < 0) for axis in range(3))
    lengths = found.shape[::-1]
    x, y, z = (int(first[axis]) - (lengths[axes[axis]] - 1 if flipped[axis] else 0) for axis in range(3))
    return _Turn(axes, flipped, (z, y, x))


def _steps(found: Extent, wanted: Extent) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """How the index in the grid (x, y, z) follows from that in the file: whole steps (3, 3) and the first voxel (3)."""
    last = np.array(found.shape[::-1]) - 1
    shift = None
    for factor in (1.0,) if found.unit == wanted.unit else _IN_MICROMETRES.get(found.unit, ()):
        affine = np.diag((factor, factor, factor, 1.0)) @ found.affine
        relative = np.linalg.solve(wanted.affine, affine)[:3]
        if not np.isfinite(relative).all() or np.abs(relative).max() > 1e9:
            continue
        step = np.rint(relative[:, :3]).astype(np.int64)
        if not _is_turn(step) or (np.abs(relative[:, :3] - step) @ last).max() > SAME_PLACE:
            continue
        first = np.rint(relative[:, 3]).astype(np.int64)
        shift = np.abs(relative[:, 3] - first).max()
        if shift <= SAME_PLACE:
            return step, first
    raise AnnotationError(_misfit(found, wanted, shift))


def _is_turn(step: npt.NDArray[np.int64]) -> bool:
    """Whether every axis goes to one axis, forwards or backwards."""
    return bool((np.abs(step).sum(axis=0) == 1).all() and (np.abs(step).sum(axis=1) == 1).all())


def _misfit(found: Extent, wanted: Extent, shift: float | None) -> str:
    what = (
        f"the labels' voxels are {_described(found.affine)} (unit: {found.unit}) and the image's "
        f"{_described(wanted.affine)} (unit: {wanted.unit})"
    )
    if shift is not None:
        what += f"; they are shifted by {shift:.3g} of a voxel, and shifts must be whole voxels"
    return (
        f"{what}; save the labels on the grid of the image that was downloaded, not resampled, rotated or in other "
        "units (in 3D Slicer: export the segmentation with the image as reference volume)"
    )


def _described(affine: Affine) -> str:
    size = np.linalg.norm(affine[:3, :3], axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        axes = [" ".join(f"{value:.4g}" for value in column) for column in (affine[:3, :3] / size).T]
    begin = ", ".join(f"{value:.6g}" for value in affine[:3, 3])
    return f"{' x '.join(f'{value:.6g}' for value in size)} along ({'), ('.join(axes)}) from ({begin})"


def as_labels(pixels: npt.NDArray[np.generic]) -> Labels:
    """Return integers 0..255 as uint8.

    Raises:
        AnnotationError: there are other values.
    """
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    if pixels.dtype.kind not in "uif":
        raise AnnotationError(f"the labels have type {pixels.dtype} and must be integers; save them as uint8")
    with np.errstate(invalid="ignore"):
        labels = pixels.astype(np.uint8)
    wrong = labels != pixels
    if wrong.any():
        values = np.unique(pixels[wrong])[:5]
        raise AnnotationError(
            f"the labels hold {', '.join(str(value) for value in values)} and must be integers 0 to 255; save a "
            "label map, not an image or a probability"
        )
    return labels


def _paste(found: Labels, corner: tuple[int, int, int], grid: Grid) -> Labels:
    labels = np.zeros(grid.shape, np.uint8)
    take, put = [], []
    for begin, length, extent in zip(corner, found.shape, grid.shape, strict=True):
        start, stop = max(begin, 0), min(begin + length, extent)
        put.append(slice(start, max(start, stop)))
        take.append(slice(start - begin, max(start, stop) - begin))
    inside = found[tuple(take)]
    lost = np.count_nonzero(found) - np.count_nonzero(inside)
    if lost:
        raise AnnotationError(
            f"{lost} labelled voxels lie outside the case: the labels cover {found.shape} voxels (slices, rows, "
            f"columns) from {corner} and the case has {grid.shape}; are they of another case?"
        )
    labels[tuple(put)] = inside
    return labels
