"""Plans, and with a network of numpy the proof that their tiles are exact."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from monai_app.domain.region import Region, Span
from monai_app.errors import ConfigError
from monai_app.inference.tiling.plan import Plan
from monai_app.stack.ngff.layout import CHUNK

Image = npt.NDArray[np.int64]
REACH = 3
"""Pixels that the network of numpy sees at full resolution; at its stride it sees one pixel more to either side."""


@st.composite
def spans(draw: st.DrawFn, length: int) -> Span:
    start = draw(st.integers(0, length - 1))
    return Span(start, draw(st.integers(start + 1, length)))


@st.composite
def plans(draw: st.DrawFn, largest: int = 60, unit: int = 1) -> Plan:
    """Plans of slices of any size; tiles are multiples of the stride and of ``unit``."""
    shape = (draw(st.integers(1, 7)), draw(st.integers(1, largest)), draw(st.integers(1, largest)))
    stride = draw(st.sampled_from([1, 2, 4, 8]))
    return Plan(
        shape=shape,
        region=Region(*(draw(spans(length)) for length in shape)),
        stride=stride,
        halo=stride * draw(st.integers(0, 3)),
        tile=(max(stride, unit) * draw(st.integers(1, 8)), max(stride, unit) * draw(st.integers(1, 8))),
        block=draw(st.integers(1, 8)),
        stripe=stride * draw(st.integers(1, 4)),
        slices=draw(st.sampled_from([1, 3, 5, 7])),
    )


def plan_of(rows: int, columns: int, tile: tuple[int, int], stride: int = 4, halo: int = 24, slices: int = 9) -> Plan:
    shape = (slices, rows, columns)
    return Plan(shape, Region.whole(shape), stride, halo, tile, block=4, stripe=stride, slices=3)


@given(plans())
def test_every_pixel_of_the_region_is_written_once_and_no_other(plan: Plan) -> None:
    written, expected = np.zeros(plan.shape, int), np.zeros(plan.shape, int)
    expected[plan.region.index] = 1
    for tile in plan.tiles:
        written[tile.write.index] += 1
    np.testing.assert_array_equal(written, expected)


@given(plans())
def test_reading_begins_and_ends_at_the_stride_and_covers_the_halo(plan: Plan) -> None:
    for tile in plan.tiles:
        stored = plan.stored(tile)
        assert plan.padding(tile) == (tile.read.y.stop - stored.y.stop, tile.read.x.stop - stored.x.stop)
        for write, read, kept, length in (
            (tile.write.y, tile.read.y, stored.y, plan.shape[1]),
            (tile.write.x, tile.read.x, stored.x, plan.shape[2]),
        ):
            assert read.start % plan.stride == read.stop % plan.stride == 0
            assert read.start == 0 or write.start - read.start >= plan.halo
            assert read.stop >= length or read.stop - write.stop >= plan.halo
            assert read.stop - length < plan.stride  # what is beyond the slice is its own padding
            assert (kept.start, kept.stop) == (read.start, min(read.stop, length))
            # Nothing is read for nothing.
            assert write.start - read.start < plan.halo + plan.stride
            assert read.stop - write.stop < plan.halo + plan.stride


@given(plans())
def test_tiles_lie_on_a_grid_from_the_corner_of_the_slice_and_go_column_by_column(plan: Plan) -> None:
    columns = [(tile.write.y.start, tile.write.x.start, tile.write.z.start) for tile in plan.tiles]
    assert columns == sorted(set(columns))
    assert [tile.number for tile in plan.tiles] == list(range(len(plan.tiles)))
    for tile in plan.tiles:
        assert len(tile.write.z) <= plan.block
        for write, side in zip((tile.write.y, tile.write.x), plan.tile, strict=True):
            assert write.start // side == (write.stop - 1) // side


@given(plans(largest=4500, unit=256))
@settings(deadline=None)
def test_writers_share_no_chunk_exactly_where_the_plan_says_so(plan: Plan) -> None:
    writers = Counter(
        (z, row, column)
        for tile in plan.tiles
        for z in tile.write.z.range
        for row in range(tile.write.y.start // CHUNK, (tile.write.y.stop - 1) // CHUNK + 1)
        for column in range(tile.write.x.start // CHUNK, (tile.write.x.stop - 1) // CHUNK + 1)
    )
    assert plan.chunk_aligned == (max(writers.values()) == 1)


@given(plans())
def test_the_overhead_is_what_is_read_per_written_pixel(plan: Plan) -> None:
    read = sum(tile.computed for tile in plan.tiles)
    written = sum(np.prod(tile.write.shape) for tile in plan.tiles)
    assert plan.overhead == pytest.approx(read / written)


@given(plans())
def test_a_plan_comes_back_from_json(plan: Plan) -> None:
    restored = Plan.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert restored == plan
    assert restored.tiles == plan.tiles


@given(plans())
def test_slabs_are_those_of_the_store(plan: Plan) -> None:
    padded = np.pad(np.arange(plan.shape[0]), plan.slices // 2, mode="edge")
    for tile in plan.tiles:
        sequence = plan.sequence(tile)
        assert len(sequence) == len(tile.write.z) + plan.slices - 1
        for n, z in enumerate(tile.write.z.range):
            assert tuple(padded[z : z + plan.slices]) == sequence[n : n + plan.slices]


def network(image: Image, stride: int) -> Image:
    """A U-Net of two levels: sums over neighbours, zeros around the image, at full resolution and at the stride."""
    fine = box_sum(image, REACH)
    rows, columns = (side // stride for side in image.shape)
    pooled = fine.reshape(rows, stride, columns, stride).max((1, 3))
    return fine + box_sum(pooled, 1).repeat(stride, 0).repeat(stride, 1)


def box_sum(image: Image, reach: int) -> Image:
    for axis in (0, 1):
        image = ndimage.correlate1d(image, np.ones(2 * reach + 1, int), axis, mode="constant")
    return image


def whole_slice(image: Image, stride: int) -> Image:
    padding = [(0, -side % stride) for side in image.shape]
    return network(np.pad(image, padding, mode="edge"), stride)[: image.shape[0], : image.shape[1]]


def by_tiles(image: Image, plan: Plan) -> Image:
    result = np.zeros_like(image)
    for tile in plan.tiles:
        below, right = plan.padding(tile)
        window = np.pad(image[plan.stored(tile).index], [(0, below), (0, right)], mode="edge")
        result[tile.write.rect.index] = network(window, plan.stride)[tile.inner.index]
    return result


@given(plans(), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_tiles_give_what_the_whole_slice_gives(plan: Plan, seed: int) -> None:
    halo = plan.stride + -(-REACH // plan.stride) * plan.stride
    plan = replace(plan, halo=halo)
    image = np.random.default_rng(seed).integers(0, 1000, plan.shape[1:])
    part = plan.region.rect.index
    np.testing.assert_array_equal(by_tiles(image, plan)[part], whole_slice(image, plan.stride)[part])


def test_a_halo_one_stride_smaller_is_not_enough() -> None:
    image = np.random.default_rng(0).integers(0, 1000, (37, 43))
    enough = plan_of(37, 43, (12, 16), stride=4, halo=8)
    np.testing.assert_array_equal(by_tiles(image, enough), whole_slice(image, 4))
    assert (by_tiles(image, replace(enough, halo=4)) != whole_slice(image, 4)).any()


def test_several_processes_are_refused_with_tiles_that_would_do() -> None:
    plan_of(3000, 1500, (2048, 1024)).check_separate()
    with pytest.raises(ConfigError, match=r"tile 1536,512: .* 1024 x 1024 pixels; use tiles of 2048,1024, or one proc"):
        plan_of(3000, 1500, (1536, 512)).check_separate()


def test_a_plan_is_described_for_people() -> None:
    assert plan_of(3868, 4062, (1024, 2048)).describe() == [
        "region: slices 0:9 of 9, rows 0:3868 of 3868, columns 0:4062 of 4062",
        "tiles: 24, a grid of 4 x 2 with up to 1024 x 2048 pixels, in blocks of up to 4 slices, each from a slab of 3",
        "halo: 24 pixels at a stride of 4; 5.0 % of the pixels are computed more than once",
        "stripes: 4 rows at a time",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tile": (64, 30)}, "tile 64,30: 30 must be a multiple of the network's stride 4; the nearest are 28 and 32"),
        ({"tile": (2, 64)}, "tile 2,64: 2 must be .* the nearest are 4 and 8"),
        ({"stripe": 6}, "stripe 6"),
        ({"halo": 22}, "halo 22: must be a multiple"),
        ({"slices": 4}, "a slab of 4 slices: must be odd"),
        ({"block": 0}, "block 0: must be 1 or more"),
        ({"stride": 0}, "stride 0: must be 1 or more"),
        ({"region": Region(Span(0, 9), Span(0, 64), Span(10, 65))}, "region x 10:65: the columns are 0 to 63"),
    ],
)
def test_values_that_break_a_rule_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(plan_of(64, 64, (64, 64)), **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tile": [64]}, "tile.1"),
        ({"halo": "24"}, "halo"),
        ({"region": {"z": [0, 9], "y": [0, 64]}}, "'x'"),
        ({"region": {"z": [0, 9], "y": [0, 64], "x": [0, "64"]}}, "'str'"),
        ({"region": None}, "NoneType"),
        ({"batch": 1}, "batch"),
        ({"slices": 4}, "a slab of 4 slices: must be odd"),
    ],
)
def test_a_damaged_plan_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"(?s)the saved plan is damaged .*{message}.*; start over"):
        Plan.from_dict(plan_of(64, 64, (64, 64)).to_dict() | change)
