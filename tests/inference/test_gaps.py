"""Where slices are missing, two stacks meet: each side is segmented as if it were alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_app.domain.region import Region, Span
from monai_app.domain.slab import Slab
from monai_app.inference import Predictor
from monai_app.inference.tiling.plan import Plan
from monai_app.stack import ArrayStack
from tests.inference.models import model_of
from tests.stack.samples import pixels


@given(
    depth=st.integers(1, 20),
    gaps=st.sets(st.integers(1, 19)),
    block=st.integers(1, 8),
    reach=st.integers(0, 4),
    first=st.integers(0, 19),
)
def test_no_block_goes_across_a_gap(depth: int, gaps: set[int], block: int, reach: int, first: int) -> None:
    slices, between = 2 * reach + 1, tuple(sorted(gap for gap in gaps if gap < depth))
    region = Region(Span(min(first, depth - 1), depth), Span(0, 8), Span(0, 8))
    plan = Plan((depth, 8, 8), region, 1, 0, (8, 8), block, 1, slices, between)
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    assert sorted(z for tile in plan.tiles for z in tile.write.z.range) == list(region.z.range)
    for tile in plan.tiles:
        sequence = plan.sequence(tile)
        for number, z in enumerate(tile.write.z.range):
            assert sequence[number : number + slices] == Slab(slices).indices(z, depth, between)


@pytest.mark.parametrize("kind", ["unet", "sensor3d"])
def test_each_side_of_a_gap_has_the_labels_that_it_has_alone(kind: str, tmp_path: Path) -> None:
    names, grey = ("ICE", "TLD"), np.stack([pixels(7, 32, 32, seed=seed) for seed in (0, 1)])
    predictor = Predictor(model_of(tmp_path, kind))
    stack = ArrayStack(names, grey)
    closed = {z: planes["labels"] for z, planes in predictor.predict(stack, range(7))}
    stack.gaps = (3,)
    found = {z: planes["labels"] for z, planes in predictor.predict(stack, range(7))}
    for span in (Span(0, 3), Span(3, 7)):
        for z, planes in predictor.predict(ArrayStack(names, grey[:, span.index]), range(len(span))):
            np.testing.assert_array_equal(found[span.start + z], planes["labels"])
    assert [z for z in range(7) if (found[z] != closed[z]).any()] == [2, 3]
