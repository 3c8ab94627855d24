"""Chords against a plain walk along every line, and of known structures."""

from collections import Counter
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_app.progress import silent
from monai_app.quantities import Measured
from monai_app.quantities.labels import Voxels
from monai_app.quantities.measures.chords import measure
from tests.quantities.shapes import SmallBlocks, any_labels, numbers, overlapping_balls

VOXEL = (20.0, 10.0, 5.0)
NAMES = ("", "matrix", "grain", "pore")


def walked(voxels: Voxels) -> dict[tuple[str, str, int], tuple[int, int]]:
    """Phase, axis and length -> how many chords are whole and how many are cut."""
    whole: Counter[tuple[str, str, int]] = Counter()
    cut: Counter[tuple[str, str, int]] = Counter()
    for number, axis in enumerate("zyx"):
        for line in np.moveaxis(voxels, number, -1).reshape(-1, voxels.shape[number]).tolist():
            runs = [(value, len(list(run))) for value, run in groupby(line)]
            for place, (value, length) in enumerate(runs):
                inside = 0 < place < len(runs) - 1 and runs[place - 1][0] and runs[place + 1][0]
                if value:
                    (whole if inside else cut)[NAMES[value], axis, length] += 1
    return {key: (whole[key], cut[key]) for key in whole | cut}


def counted(found: Measured) -> dict[tuple[str, str, int], tuple[int, int]]:
    rows = found.tables["chords"].rows
    return {(str(row[0]), str(row[1]), int(row[2] or 0)): (int(row[4] or 0), int(row[5] or 0)) for row in rows}


@given(any_labels(), st.integers(1, 60))
def test_slabs_give_what_a_walk_along_every_line_gives(voxels: Voxels, most: int) -> None:
    assert counted(measure(SmallBlocks(voxels, VOXEL, most), silent)) == walked(voxels)


def test_layers_have_chords_of_their_thickness() -> None:
    voxels = np.ones((30, 8, 8), np.uint8)
    for first in (4, 12, 22):
        voxels[first : first + 4] = 2
    found = numbers("chords", voxels, VOXEL)
    assert found["chord_mean_z"]["grain"].value == pytest.approx(0.08)
    assert found["chord_mean_z"]["matrix"].value == pytest.approx(18 * 0.02 / 3)  # three gaps, and two cut ones
    assert found["chord_mean_x"]["grain"].value is None
    assert "no chord ends" in str(found["chord_mean_x"]["grain"].unreliable)


def test_what_the_border_cuts_makes_the_mean_unreliable() -> None:
    voxels = np.ones((4, 4, 12), np.uint8)
    voxels[..., 1] = voxels[..., 9] = 2
    found = numbers("chords", voxels, VOXEL)
    assert found["chord_mean_x"]["grain"].unreliable is None
    voxels[..., 2:9] = 2
    means = numbers("chords", voxels, VOXEL)["chord_mean_x"]
    assert means["grain"].unreliable is None
    assert "100% of the length" in str(means["matrix"].unreliable)


def test_chords_between_overlapping_balls_are_those_of_the_boolean_model() -> None:
    """Mean chord of what is uncovered: 1 / (density x pi radius^2), also in a window that cuts many of them."""
    radius, per_nm3 = 40.0, 2e-6
    found = [
        numbers("chords", overlapping_balls((40, 60, 60), (5.0, 5.0, 5.0), radius, per_nm3, seed), (5.0, 5.0, 5.0))
        for seed in range(24)
    ]
    for axis in "zyx":
        mean = np.mean([float(each[f"chord_mean_{axis}"]["matrix"].value or 0) for each in found])
        assert mean == pytest.approx(1e-3 / (per_nm3 * np.pi * radius**2), rel=0.1)
