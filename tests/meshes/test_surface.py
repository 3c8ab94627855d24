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
