"""Surfaces of shapes whose area and volume are known."""

import numpy as np
import numpy.typing as npt
import pytest

from monai_app.meshes.surface import Surface, surface_of


def measured(part: Surface, size: tuple[float, float, float] = (1, 1, 1)) -> tuple[float, float]:
    """Enclosed volume, positive where normals point outwards, and area."""
    a, b, c = np.moveaxis((part.points.astype(np.float64) * size[::-1])[part.triangles], 1, 0)
    normals = np.cross(b - a, c - a)
    return float((a * normals).sum() / 6), float(np.linalg.norm(normals, axis=1).sum() / 2)


def is_closed(part: Surface) -> bool:
    """Whether every edge is of two triangles, which run along it in opposite directions."""
    edges = np.concatenate([part.triangles[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
    there, back = (set(map(tuple, each.tolist())) for each in (edges, edges[:, ::-1]))
    return there == back and len(there) == len(edges)


def ball(radius: float, size: tuple[float, float, float]) -> npt.NDArray[np.uint8]:
    """A ball in a box of its own, its centre beside that of a voxel."""
    axes = [np.arange(-int(radius / step) - 2, int(radius / step) + 3) * step + 0.3 for step in size]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    inside: npt.NDArray[np.bool_] = z**2 + y**2 + x**2 <= radius**2
    return inside.astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "area", "volume"), [((1, 1, 1), 0.02, 0.002), ((2, 1, 0.5), 0.04, 0.01), ((4, 1, 1), 0.06, 0.01)]
)
def test_a_ball_has_its_area_and_volume(size: tuple[float, float, float], area: float, volume: float) -> None:
    labels = ball(20, size)
    part = surface_of(labels, smooth=True).around(1)
    assert is_closed(part)
    enclosed, found = measured(part, size)
    assert found == pytest.approx(4 * np.pi * 20**2, rel=area)
    assert enclosed == pytest.approx(4 / 3 * np.pi * 20**3, rel=volume)
    steps = measured(surface_of(labels, smooth=False).around(1), size)
    assert steps[0] == pytest.approx(labels.sum() * np.prod(size), rel=1e-3)
    assert steps[1] > 1.3 * found


def test_small_balls_keep_their_volume() -> None:
    labels = ball(4, (1, 1, 1))
    assert measured(surface_of(labels, smooth=True).around(1))[0] == pytest.approx(labels.sum(), rel=0.005)


def boxes(*sizes: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Boxes of phase 1 side by side in phase 2, five voxels of it around each."""
    slices, rows = (max(size[axis] for size in sizes) + 10 for axis in (0, 1))
    parts = []
    for size in sizes:
        part = np.full((slices, rows, size[2] + 10), 2, np.uint8)
        part[5 : 5 + size[0], 5 : 5 + size[1], 5 : 5 + size[2]] = 1
        parts.append(part)
    return np.pad(np.concatenate(parts, axis=2), 1)


@pytest.mark.parametrize(
    ("size", "change"),
    [
        ((1, 1, 1), 0),
        ((2, 2, 2), 0),
        ((1, 1, 40), 0),
        ((2, 2, 40), 0),
        ((1, 30, 30), 0),
        ((3, 3, 3), 0.05),
        ((3, 3, 40), 0.02),
        ((7, 7, 7), 0.01),
    ],
)
def test_thin_things_keep_their_volume(size: tuple[int, int, int], change: float) -> None:
    labels = boxes(size)
    found = surface_of(labels, smooth=True)
    part = found.around(1)
    assert is_closed(part)
    assert measured(part)[0] == pytest.approx(np.prod(size), rel=change + 1e-6)
    assert found.volumes()[[1, 2]] == pytest.approx([measured(found.around(phase))[0] for phase in (1, 2)])


def test_specks_stay_beside_what_is_smoothed() -> None:
    """A tenth of the phase is single voxels; they have 6 faces each, and the ball's steps are gone."""
    labels = np.pad(ball(8, (1, 1, 1)), 20)
    labels[::4, ::4, :15:4] = 1
    labels = np.pad(labels[1:-1, 1:-1, 1:-1], 1)
    volume, area = measured(surface_of(labels, smooth=True).around(1))
    specks = int(labels[:, :, :15].sum())
    assert specks > 200
    assert volume == pytest.approx(labels.sum(), rel=0.001)
    assert area == pytest.approx(6 * specks + 4 * np.pi * 8**2, rel=0.03)


def test_the_end_of_the_volume_makes_nothing_thin() -> None:
    """Two slices of a rod that goes on are smoothed as a long one is: its 8 corners of 4 x 4 lose their edges."""
    labels = np.zeros((2, 12, 12), np.uint8)
    labels[:, 4:8, 4:8] = 1
    volume, area = measured(surface_of(np.pad(labels, 1), smooth=True).around(1))
    assert volume < 31.9
    assert area < 2 * 16 + 2 * 16 - 0.5


def test_slabs_share_a_boundary_and_fill_the_volume() -> None:
    labels = np.full((6, 7, 8), 2, np.uint8)
    labels[:, 3:] = 5
    found = surface_of(np.pad(labels, 1), smooth=True)
    assert found.phases() == [2, 5]
    assert np.unique(found.sides, axis=0).tolist() == [[2, 0], [2, 5], [5, 0]]
    for phase, rows in ((2, 3), (5, 4)):
        part = found.around(phase)
        assert is_closed(part)
        assert set(part.sides[:, 0].tolist()) == {phase}
        assert measured(part) == pytest.approx((6 * rows * 8, 2 * (6 * rows + 6 * 8 + rows * 8)), rel=0.02)
    between = (found.sides == (2, 5)).all(axis=1)
    assert measured(Surface(found.points, found.triangles[between], found.sides))[1] == pytest.approx(48, rel=0.02)


def test_no_label_has_no_surface() -> None:
    assert surface_of(np.zeros((3, 4, 5), np.uint8), smooth=True).phases() == []
