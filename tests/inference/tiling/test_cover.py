"""Only what is wanted is computed, at the least cost, and as in the whole slice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_app.domain.region import Rect, Region, Span
from monai_app.inference.tiling import cover
from monai_app.inference.tiling.cover import wanted_tiles
from monai_app.inference.tiling.plan import Plan

SHAPE = (300, 420)


def plan_of(halo: int = 16, window: int = 256) -> Plan:
    return Plan((1, *SHAPE), Region.whole((1, *SHAPE)), 16, halo, (window, window), 1, stripe=16, slices=1)


def rect(top: int, bottom: int, left: int, right: int) -> Rect:
    return Rect(Span(top, bottom), Span(left, right))


def wanted_in(*rects: tuple[int, int, int, int]) -> np.ndarray:
    """True in rectangles given as first row, end, first column, end."""
    wanted = np.zeros(SHAPE, dtype=bool)
    for top, bottom, left, right in rects:
        wanted[top:bottom, left:right] = True
    return wanted


def read(plan: Plan, wanted: np.ndarray) -> int:
    return sum(tile.computed for tile in wanted_tiles(plan, wanted))


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_every_wanted_pixel_is_written_within_its_tile_and_never_at_a_higher_cost(data: st.DataObject) -> None:
    plan = plan_of(halo=data.draw(st.sampled_from([0, 16, 96])))
    wanted, written = np.zeros(SHAPE, dtype=bool), np.zeros(SHAPE, dtype=bool)
    for _ in range(data.draw(st.integers(0, 6))):
        top, left = data.draw(st.integers(0, 299)), data.draw(st.integers(0, 419))
        wanted[top : top + data.draw(st.integers(1, 140)), left : left + data.draw(st.integers(1, 140))] = True
    for tile in wanted_tiles(plan, wanted):
        assert tile.read == plan.read_for(tile.write.rect)
        assert any(each.write.rect.intersect(tile.write.rect) == tile.write.rect for each in plan.tiles)
        written[tile.write.rect.index] = True
    assert not (wanted & ~written).any()
    assert read(plan, wanted) <= sum(tile.computed for tile in plan.tiles)


def test_what_lies_far_apart_is_computed_apart() -> None:
    tiles = list(wanted_tiles(plan_of(), wanted_in((0, 10, 0, 10), (208, 218, 240, 250))))
    assert [tile.write.rect for tile in tiles] == [rect(0, 10, 0, 10), rect(208, 218, 240, 250)]
    assert [tile.read.shape for tile in tiles] == [(32, 32), (48, 48)]


def test_what_lies_close_together_is_computed_together() -> None:
    (tile,) = wanted_tiles(plan_of(halo=96), wanted_in((0, 40, 0, 128), (60, 128, 130, 200)))
    assert tile.write.rect == rect(0, 128, 0, 200)


@pytest.mark.parametrize(("wanted", "count"), [(wanted_in(), 0), (wanted_in((0, 300, 0, 420)), 4)])
def test_nothing_and_everything(wanted: np.ndarray, count: int) -> None:
    plan = plan_of()
    tiles = [tile.write for tile in wanted_tiles(plan, wanted)]
    assert len(tiles) == count
    assert tiles in ([], [tile.write for tile in plan.tiles])


def test_many_places_of_a_large_tile_cost_few_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    costs, cost = list[Rect](), cover._cost

    def counted(rect: Rect, plan: Plan) -> int:
        costs.append(rect)
        return cost(rect, plan)

    monkeypatch.setattr(cover, "_cost", counted)
    shape = (1, 4096, 4096)
    plan = Plan(shape, Region.whole(shape), 16, 0, (4096, 4096), 1, stripe=16, slices=1)
    wanted = np.zeros(shape[1:], dtype=bool)
    wanted[::256, ::256] = True
    assert list(wanted_tiles(plan, wanted))
    assert len(costs) < 12**4
