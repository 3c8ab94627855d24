"""Surfaces of known bodies, and against a plain count over the whole array."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import marching_cubes, mesh_surface_area, perimeter_crofton

from monai_app.progress import silent
from monai_app.quantities import ArrayLabels
from monai_app.quantities.labels import Voxels
from monai_app.quantities.measures.surface import DIRECTIONS, crofton_weights, measure, specific_perimeters
from tests.quantities.shapes import (
    PHASES,
    Sides,
    SmallBlocks,
    any_labels,
    ball,
    blobs,
    layer,
    numbers,
    overlapping_balls,
)


def test_directions_and_weights_are_those_of_the_paper() -> None:
    assert len(DIRECTIONS) == 13
    lengths = np.abs(DIRECTIONS).sum(1)
    weights = crofton_weights((3.0, 3.0, 3.0))
    for neighbours, weight in ((1, 0.04577789), (2, 0.03698063), (3, 0.03519563)):  # of both ends of a direction
        np.testing.assert_allclose(weights[lengths == neighbours], 2 * weight, rtol=1e-6)


@given(*(st.floats(1, 30) for _ in range(3)))
def test_weights_of_any_voxel_sum_to_1_and_follow_its_sides(z: float, y: float, x: float) -> None:
    weights = crofton_weights((z, y, x))
    assert weights.sum() == pytest.approx(1)
    turned = crofton_weights((y, x, z))
    by_step = dict(zip(DIRECTIONS, weights, strict=True))
    for (a, b, c), weight in zip(DIRECTIONS, turned, strict=True):
        same = next(step for step in ((c, a, b), (-c, -a, -b)) if step in by_step)
        assert weight == pytest.approx(by_step[same], abs=1e-9)


@pytest.mark.parametrize("voxel", [(5.0, 5.0, 5.0), (10.0, 5.0, 5.0), (20.0, 5.0, 5.0)])
@pytest.mark.parametrize("radius", [60.0, 120.0])
def test_the_surface_of_a_ball(voxel: Sides, radius: float) -> None:
    shape = [round(900 / voxel[0]), 80, 80]
    area = numbers("surface", ball(shape, voxel, radius), voxel)["specific_surface"]["grain"].value
    assert area is not None
    assert area * np.prod(shape) * np.prod(voxel) / 1e9 == pytest.approx(4e-6 * np.pi * radius**2, rel=0.05)


def test_a_plane_along_the_grid_is_underestimated_as_the_page_says() -> None:
    page = " ".join((Path(__file__).parents[3] / "docs" / "how-to" / "models" / "quantify.md").read_text().split())
    for ratio, axis in product((1, 2, 4), range(3)):
        voxel = (5.0 * ratio, 5.0, 5.0)
        steps = np.array(DIRECTIONS) * voxel
        share = 2 * crofton_weights(voxel) @ (abs(steps[:, axis]) / np.linalg.norm(steps, axis=1))  # of the area
        assert f"| {ratio} | {1 - share:.1%}" in page if axis == 0 else f"{1 - share:.1%} |" in page
        area = numbers("surface", layer((60, 60, 60), axis, 5), voxel)["specific_surface"]["grain"].value
        assert area is not None
        assert area / (2e3 / (60 * voxel[axis])) == pytest.approx(share, rel=0.03)  # edges of the volume


def test_overlapping_balls_have_the_surface_of_the_boolean_model() -> None:
    radius, per_nm3 = 40.0, 2e-6
    found = []
    for seed in range(6):
        voxels = overlapping_balls((30, 60, 60), (10.0, 5.0, 5.0), radius, per_nm3, seed)
        found.append(numbers("surface", voxels, (10.0, 5.0, 5.0))["specific_surface"]["grain"].value)
    uncovered = np.exp(-per_nm3 * 4 / 3 * np.pi * radius**3)
    expected = 1000 * per_nm3 * 4 * np.pi * radius**2 * uncovered
    assert np.mean(np.array(found, float)) == pytest.approx(expected, rel=0.06)


def test_anisotropic_voxels_give_what_an_isotropic_resample_gives() -> None:
    fine = blobs((60, 60, 60), 5)
    isotropic = numbers("surface", fine, (5.0, 5.0, 5.0))["specific_surface"]
    thinned = numbers("surface", fine[::2], (10.0, 5.0, 5.0))["specific_surface"]
    for phase in ("matrix", "grain", "pore"):
        assert thinned[phase].value == pytest.approx(isotropic[phase].value, rel=0.02)
    mesh = marching_cubes((fine == 2).astype(float), 0.5, spacing=(5.0, 5.0, 5.0))
    volume = fine.size * 125 / 1e9
    assert isotropic["grain"].value == pytest.approx(mesh_surface_area(*mesh[:2]) / 1e6 / volume, rel=0.08)


def naive(voxels: Voxels, voxel: Sides) -> dict[tuple[int, int], float]:
    """Area per volume between each two phases, 1/um, from every pair of voxels."""
    weights = crofton_weights(voxel)
    areas = dict.fromkeys(((1, 2), (1, 3), (2, 3)), 0.0)
    for (dz, dy, dx), weight in zip(DIRECTIONS, weights, strict=True):
        found, lines = dict.fromkeys(areas, 0), 0
        for z, y, x in np.ndindex(*voxels.shape):
            other = (z + dz, y + dy, x + dx)
            if all(0 <= at < length for at, length in zip(other, voxels.shape, strict=True)):
                a, b = sorted((int(voxels[z, y, x]), int(voxels[other])))
                lines += a > 0
                if 0 < a < b:
                    found[a, b] += 1
        step = float(np.linalg.norm(np.multiply((dz, dy, dx), voxel))) / 1000
        for pair, count in found.items():
            areas[pair] += 2 * weight * count / (lines * step) if lines else np.nan
    return areas


@given(any_labels(), st.integers(1, 100), st.sampled_from([(10.0, 10.0, 10.0), (20.0, 8.0, 10.0)]))
def test_slabs_give_what_every_pair_of_voxels_gives(voxels: Voxels, most: int, voxel: Sides) -> None:
    found = measure(SmallBlocks(voxels, voxel, most), silent)
    expected = naive(voxels, voxel)
    if any(np.isnan(area) for area in expected.values()):
        assert found.quantities["specific_surface"]["grain"].value is None
        assert "at least two" in str(found.quantities["specific_surface"]["grain"].unreliable)
        return
    rows = found.tables["contacts"].rows
    assert [row[:2] for row in rows] == [("matrix", "grain"), ("matrix", "pore"), ("grain", "pore")]
    np.testing.assert_allclose([float(row[3] or 0) for row in rows], list(expected.values()), rtol=1e-9)
    segmented = np.count_nonzero(voxels) * float(np.prod(voxel)) / 1e9
    np.testing.assert_allclose([float(row[2] or 0) for row in rows], np.array([*expected.values()]) * segmented)
    assert found.quantities["specific_surface"]["grain"].value == pytest.approx(expected[1, 2] + expected[2, 3])


def test_one_slice_has_no_surface() -> None:
    number = measure(ArrayLabels(np.ones((1, 9, 9), np.uint8), (1, 1, 1), PHASES), silent).quantities
    assert number["specific_surface"]["matrix"].value is None


def test_the_surface_of_few_neighbouring_slices_is_marked() -> None:
    voxels = layer((8, 20, 20), 0, 1)[:5]
    of = {slices: numbers("surface", voxels[-slices:])["specific_surface"]["grain"] for slices in (2, 4, 5)}
    assert of[5].unreliable is None
    assert "a face between two counts 1.3 times; at least 5 slices are needed" in str(of[4].unreliable)
    assert "counts 2 times" in str(of[2].unreliable)


def test_planes_in_gaps_and_slices_without_labels_do_not_hide_that_neighbouring_slices_are_few() -> None:
    pair, between = layer((2, 20, 20), 0, 1), np.zeros((1, 20, 20), np.uint8)
    for planes in ([pair, between, pair, between, pair], [between, between, pair, between, between]):
        found = numbers("surface", np.concatenate(planes))["specific_surface"]["grain"]
        assert "counts 2 times" in str(found.unreliable)
    longer = np.concatenate([*[pair] * 5, between, *[pair] * 5])
    assert numbers("surface", longer)["specific_surface"]["grain"].unreliable is None


@pytest.mark.parametrize("pixel", [(0.005, 0.005), (0.01, 0.005), (0.005, 0.015)])
def test_the_perimeter_of_a_disc(pixel: tuple[float, float]) -> None:
    shape = (round(0.9 / pixel[0]), round(0.9 / pixel[1]))
    (disc,) = ball((1, *shape), (1.0, 1000 * pixel[0], 1000 * pixel[1]), 300)
    found = specific_perimeters(disc, 3, pixel) * np.prod(shape) * np.prod(pixel)
    np.testing.assert_allclose(found, [2 * np.pi * 0.3, 2 * np.pi * 0.3, 0], rtol=0.04)


def test_perimeters_are_those_of_another_estimator_where_pixels_are_square() -> None:
    labels = np.pad(blobs((1, 200, 200), 5)[0], 3, constant_values=1)  # the other one takes the border for a boundary
    found = specific_perimeters(labels, 3, (1.0, 1.0)) * labels.size
    for value in (2, 3):
        assert found[value - 1] == pytest.approx(perimeter_crofton(labels == value, directions=4), rel=0.02)


def test_pixels_that_are_not_segmented_are_no_boundary() -> None:
    labels = np.full((6, 6), 2, np.uint8)
    labels[:, :2] = 0
    assert specific_perimeters(labels, 2, (1.0, 1.0)).tolist() == [0, 0]
    assert np.isnan(specific_perimeters(labels[:1], 2, (1.0, 1.0))).all()
