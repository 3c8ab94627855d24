"""Two-point correlation against its definition, and of a Boolean model, of which it is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_app.progress import silent
from monai_app.quantities import Measured
from monai_app.quantities.labels import Voxels
from monai_app.quantities.measures import correlation
from tests.quantities.shapes import PHASES, SmallBlocks, any_labels, numbers
from tests.quantities.uncertainty.boolean import BooleanModel

VOXEL = (20.0, 10.0, 5.0)


def probabilities(found: Measured, axis: str) -> np.ndarray:
    """Pairs and S2 of every phase at each distance along an axis."""
    return np.array([row[2:] for row in found.tables["two_point"].rows if row[0] == axis], float)


@given(any_labels(), st.integers(1, 60))
@settings(deadline=None)
def test_slabs_give_the_definition_on_the_whole(voxels: Voxels, most: int) -> None:
    if not voxels.any():
        return
    found = correlation.measure(SmallBlocks(voxels, VOXEL, most), silent)
    for number, axis in enumerate("zyx"):
        lines = np.moveaxis(voxels, number, -1)
        rows = probabilities(found, axis)
        assert len(rows) == lines.shape[-1] // 2 + 1
        for lag, (pairs, *shares) in enumerate(rows):
            near, far = lines[..., : lines.shape[-1] - lag], lines[..., lag:]
            assert pairs == np.count_nonzero((near > 0) & (far > 0))
            if pairs:
                both = [np.count_nonzero((near == phase.value) & (far == phase.value)) for phase in PHASES]
                np.testing.assert_allclose(shares, np.array(both) / pairs)


def test_overlapping_balls_have_their_own_probability() -> None:
    model = BooleanModel(40, 0.3, VOXEL)
    draws = [SmallBlocks(model.draw((30, 48, 64), seed), VOXEL, 9999) for seed in range(6)]
    found = [correlation.measure(labels, silent) for labels in draws]
    for number, axis in enumerate("zyx"):
        mean = np.mean([probabilities(each, axis)[:, 1] for each in found], axis=0)
        expected = [model.probability(lag, number) for lag in range(len(mean))]
        np.testing.assert_allclose(mean, expected, atol=0.025)


def test_the_range_is_a_length_whatever_the_voxel() -> None:
    """Two balls whose centres are further apart than their diameter do not overlap."""
    voxels = BooleanModel(40, 0.3, VOXEL).draw((40, 80, 120), 0)
    found = numbers("correlation", voxels, VOXEL)
    ranges = [found[f"correlation_range_{axis}"]["grain"].value for axis in "zyx"]
    assert ranges == pytest.approx([0.055] * 3, rel=0.4)


def test_lines_of_a_large_volume_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    voxels = BooleanModel(3, 0.3).draw((20, 40, 40), 0)
    whole = correlation.measure(SmallBlocks(voxels, VOXEL, 999), silent)
    monkeypatch.setattr(correlation, "_MOST_KEPT", voxels.size // 4)
    thinned = correlation.measure(SmallBlocks(voxels, VOXEL, 999), silent)
    assert thinned.settings["every_line"] == 2
    for axis, share in (("z", 4), ("y", 2), ("x", 2)):
        assert probabilities(thinned, axis)[0, 0] == probabilities(whole, axis)[0, 0] / share
        np.testing.assert_allclose(probabilities(thinned, axis)[:, 1], probabilities(whole, axis)[:, 1], atol=0.03)


def test_what_has_no_range_is_marked() -> None:
    found = numbers("correlation", np.ones((1, 6, 6), np.uint8) + np.eye(6, dtype=np.uint8))
    assert found["correlation_range_z"]["matrix"].unreliable == "there is only one voxel along this axis"
    half = np.ones((4, 4, 12), np.uint8)
    half[..., 6:] = 2
    assert "still correlated at 0.02 um" in str(numbers("correlation", half)["correlation_range_z"]["grain"].unreliable)
    whole = numbers("correlation", np.ones((4, 4, 4), np.uint8))["correlation_range_z"]["matrix"]
    assert whole.unreliable == "every voxel has this phase"


def test_a_range_is_found_between_distances_that_have_pairs() -> None:
    voxels = BooleanModel(3, 0.3).draw((4, 60, 60), 0)
    voxels[:, 1::2] = 0
    found = numbers("correlation", voxels)
    reach = found["correlation_range_y"]["grain"].value
    assert reach is not None
    assert reach == pytest.approx(found["correlation_range_x"]["grain"].value, rel=0.3)


def test_without_pairs_along_an_axis_nothing_is_known_of_the_range() -> None:
    voxels = BooleanModel(3, 0.3).draw((7, 20, 20), 0)
    voxels[1::2] = 0
    labels = SmallBlocks(voxels, VOXEL, 999)
    labels.planes = (0, None, 1, None, 2, None, 3)
    for number in correlation.measure(labels, silent).quantities["correlation_range_z"].values():
        assert (number.value, number.unreliable) == (None, "there are no two segmented voxels along this axis")


def test_no_pair_reaches_across_missing_slices() -> None:
    voxels = np.ones((5, 2, 2), np.uint8)
    voxels[2] = 0
    labels = SmallBlocks(voxels, VOXEL, 4)
    labels.planes = (0, 1, None, 2, 3)
    found = correlation.measure(labels, silent)
    assert probabilities(found, "z")[:, 0].tolist() == [16, 8, 0]
