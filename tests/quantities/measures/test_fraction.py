"""Fractions of known labels, and of overlapping balls."""

import numpy as np
import pytest

from monai_app.progress import silent
from monai_app.quantities.measures.fraction import measure
from tests.quantities.shapes import SmallBlocks, numbers, overlapping_balls

VOXEL = (20.0, 10.0, 10.0)


def test_fractions_are_shares_of_what_is_segmented() -> None:
    voxels = np.ones((3, 4, 5), np.uint8)
    voxels[0, 0] = 0
    voxels[1] = 2
    found = measure(SmallBlocks(voxels, VOXEL, 1), silent)
    fractions, volumes = (found.quantities[name] for name in ("volume_fraction", "volume"))
    assert [number.value for number in fractions.values()] == pytest.approx([35 / 55, 20 / 55, 0])
    assert [number.value for number in volumes.values()] == pytest.approx([35 * 2e-6, 20 * 2e-6, 0])
    assert found.tables["slices"].rows == [
        (0, 0.0, 15, 1, 0, 0),
        (1, 0.02, 20, 0, 1, 0),
        (2, 0.04, 20, 1, 0, 0),
    ]


def test_a_slice_without_labels_has_no_fractions() -> None:
    voxels = np.ones((3, 4, 5), np.uint8)
    voxels[1] = 0
    found = measure(SmallBlocks(voxels, VOXEL, 1), silent)
    assert found.tables["slices"].rows[1] == (1, 0.02, 0, None, None, None)
    assert found.panels[1].curves["matrix"] == ([0, 0.04], [1, 1])


def test_the_profile_breaks_at_a_gap() -> None:
    voxels = np.ones((4, 4, 5), np.uint8)
    voxels[1] = 0
    labels = SmallBlocks(voxels, VOXEL, 1)
    labels.planes = (0, None, 1, 2)
    places, shares = measure(labels, silent).panels[1].curves["matrix"]
    np.testing.assert_array_equal(places, [0, np.nan, 0.02, 0.04])
    np.testing.assert_array_equal(shares, [1, np.nan, 1, 1])


def test_overlapping_balls_have_the_fraction_of_the_boolean_model() -> None:
    radius, per_nm3 = 40.0, 2e-6
    stacks = [overlapping_balls((30, 60, 60), (10.0, 5.0, 5.0), radius, per_nm3, seed) for seed in range(6)]
    found = [numbers("fraction", voxels)["volume_fraction"]["matrix"].value for voxels in stacks]
    assert np.mean(np.array(found, float)) == pytest.approx(np.exp(-per_nm3 * 4 / 3 * np.pi * radius**3), rel=0.05)
