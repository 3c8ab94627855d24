"""Local thickness of known bodies, and against every pair of voxels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_app.progress import silent
from monai_app.quantities import ArrayLabels
from monai_app.quantities.labels import Voxels
from monai_app.quantities.measures import thickness
from tests.quantities.shapes import PHASES, Sides, any_labels, ball, blobs, layer, numbers

VOXEL = (20.0, 10.0, 10.0)


def shares(voxels: Voxels, voxel: Sides = VOXEL) -> dict[str, list[float]]:
    """Phase -> the share that is at least as thick as each diameter."""
    found: dict[str, list[float]] = {phase.name: [] for phase in PHASES}
    for name, _, share in thickness.measure(ArrayLabels(voxels, voxel, PHASES), silent).tables["thickness"].rows:
        found[str(name)].append(float(share or 0))
    return found


def naive(voxels: Voxels, value: int, radii: list[float]) -> list[float]:
    """The share of a phase in spheres of at least these radii, from the distances of all voxels to all others."""
    places = np.argwhere(voxels >= 0) * VOXEL
    values = voxels.ravel()
    between = np.linalg.norm(places[:, None] - places, axis=-1)
    own, other = values == value, (values != value) & (values > 0)
    free = between[:, other].min(1) if other.any() else np.full(len(places), np.inf)
    largest = np.zeros(len(places), int)
    for number, radius in enumerate(radii):
        below = radius * (1 - 1e-4)
        largest[(between[:, own & (free >= below)] < below).any(1)] = number
    return [float((largest[own] >= number).sum() / max(own.sum(), 1)) for number in range(len(radii))]


@settings(max_examples=25, deadline=None)
@given(any_labels())
def test_thickness_is_that_of_every_pair_of_voxels(voxels: Voxels) -> None:
    found = shares(voxels)
    radii = np.geomspace(10, 320, 16).tolist()
    for value, phase in enumerate(PHASES, 1):
        np.testing.assert_allclose(found[phase.name], naive(voxels, value, radii), err_msg=phase.name)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.2]))
def test_blocks_give_what_the_whole_gives(seed: int, empty: float) -> None:
    rng = np.random.default_rng(seed)
    voxels = blobs((14, 26, 30), 2, seed)
    voxels[:, : int(10 * empty)] = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(thickness, "GREATEST", 6)
        whole = shares(voxels)
        patch.setattr(thickness, "BLOCK", int(rng.integers(1, 30000)))
        assert shares(voxels) == whole


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("voxels", "diameter"), [(3, 4), (4, 4), (9, 10)])
def test_a_layer_is_as_thick_as_it_is_or_a_voxel_more(axis: int, voxels: int, diameter: int) -> None:
    number = numbers("thickness", layer((40, 40, 40), axis, voxels), (10.0, 10.0, 10.0))["thickness_mean"]["grain"]
    assert number.value == pytest.approx(diameter / 100, rel=0.14)  # spheres are centred at voxels


@pytest.mark.parametrize("block", [2**26, 2000])
def test_no_sphere_knows_what_lies_behind_a_gap(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = np.ones((12, 16, 16), np.uint8), np.ones((9, 16, 16), np.uint8)
    first[6:] = 2
    second[4:] = 3
    labels = ArrayLabels(np.concatenate([first, np.zeros((1, 16, 16), np.uint8), second]), VOXEL, PHASES)
    labels.planes = (*range(12), None, *range(12, 21))
    monkeypatch.setattr(thickness, "BLOCK", block)
    found = thickness.measure(labels, silent)
    table = [(row[0], row[2]) for row in found.tables["thickness"].rows]
    assert [share for name, share in table if name == "grain"] == shares(first)["grain"]
    assert [share for name, share in table if name == "pore"] == shares(second)["pore"]
    assert "the measured volume between gaps is only 0.16 um thick" in str(
        found.quantities["thickness_mean"]["grain"].unreliable
    )


@pytest.mark.parametrize("voxel", [(10.0, 10.0, 10.0), (20.0, 10.0, 10.0)])
def test_a_ball_is_as_thick_as_its_diameter(voxel: Sides) -> None:
    shape = [round(500 / side) for side in voxel]
    found = thickness.measure(ArrayLabels(ball(shape, voxel, 150), voxel, PHASES), silent)
    mean = found.quantities["thickness_mean"]["grain"]
    assert mean.value == pytest.approx(0.3, rel=0.13)
    assert mean.unreliable is not None  # so large a ball in so small a region


def test_phases_thicker_than_the_greatest_diameter_are_marked() -> None:
    voxels = np.ones((70, 40, 40), np.uint8)
    voxels[:2] = 2
    found = numbers("thickness", voxels, (10.0, 10.0, 10.0))["thickness_mean"]
    assert "is thicker than 0.64 um" in str(found["matrix"].unreliable)
    assert found["grain"].unreliable is None


def test_one_slice_says_nothing_of_thickness() -> None:
    found = numbers("thickness", blobs((1, 30, 30), 2))["thickness_mean"]
    assert all("the measured volume is only 0.01 um thick" in str(number.unreliable) for number in found.values())
