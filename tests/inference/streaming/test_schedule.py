"""The steps of a row stream, and the memory that they take, against rows and storages looked at one by one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from monai_app.inference.streaming.layers import Fetch, Layer
from monai_app.inference.streaming.lowering import lower_to_row_stream
from monai_app.inference.streaming.rows import RowStream
from monai_app.inference.streaming.schedule import Schedule, Step
from monai_app.inference.streaming.window import Window
from monai_app.networks.protocol import as_sequence
from tests.inference.examples import DETECTORS, SLICES, STRIDE
from tests.zoo import network_of


def stream_of(kind: str, targets: int = 1) -> RowStream:
    sequence = as_sequence(network_of(kind), SLICES, targets)
    return lower_to_row_stream(sequence, SLICES + targets - 1, len(DETECTORS), 2 * STRIDE[kind])


STREAMS = {(kind, targets): stream_of(kind, targets) for kind in ("unet", "sensor3d") for targets in (1, 2)}
SIZES = given(height=st.integers(1, 12), width=st.integers(1, 3), stripe=st.integers(1, 4))


def pushes(height: int, stripe: int) -> list[int]:
    return [min(stripe, height - start) for start in range(0, height, stripe)]


def reads(step: Step) -> list[tuple[int, int, int]]:
    """Number of each source and the rows that a step reads, some of which may lie outside of it."""
    places = enumerate(step.layer.sources)
    return [(source, *step.layer.reads(place, step.first, step.stop)) for place, source in places]


def counted_by_rows(made: RowStream, height: int, width: int, stripe: int) -> int:
    """The most bytes at once, from the first row of every map that some later step reads."""
    schedule = Schedule(made.inputs, made.layers, height)
    events: list[int | Step] = []
    for rows in pushes(height, stripe):
        events += [rows, *schedule.push(rows)]
    row_bytes = dict.fromkeys(made.inputs, width)
    for layer in made.layers:
        row_bytes[layer.target] = layer.width.rows_out(row_bytes[layer.sources[0]])
    row_bytes = {number: columns * made.channels[number] * 4 for number, columns in row_bytes.items()}
    rows_made, peak = dict.fromkeys(row_bytes, 0), 0
    for event, first_rows in zip(events, still_read(events, schedule.heights), strict=True):
        if isinstance(event, int):
            for number in made.inputs:
                rows_made[number] += event
            continue
        held = sum(
            max(count - first_rows.get(number, count), 0) * row_bytes[number] for number, count in rows_made.items()
        )
        gathered = sum((high - low) * row_bytes[source] for source, low, high in reads(event))
        new = (event.stop - event.first) * row_bytes[event.layer.target]
        peak = max(peak, held + gathered + new)
        rows_made[event.layer.target] = event.stop
    return peak


def still_read(events: list[int | Step], heights: dict[int, int]) -> list[dict[int, int]]:
    """For each event the first row of every map that it or a later step reads, by the map's number."""
    first: dict[int, int] = {}
    found = []
    for event in reversed(events):
        if isinstance(event, Step):
            for number, low, _ in reads(event):
                first[number] = min(max(low, 0), first.get(number, heights[number]))
        found.append(dict(first))
    return found[::-1]


@pytest.mark.parametrize("kind", ["unet", "sensor3d"])
@pytest.mark.parametrize(("height", "stripe"), [(1, 1), (3, 2), (4, 1)])
def test_the_count_is_of_rows_that_later_steps_read(kind: str, height: int, stripe: int) -> None:
    made, stride = STREAMS[kind, 1], STRIDE[kind]
    sizes = height * stride, stride, stripe * stride
    assert made.peak_bytes(*sizes) == counted_by_rows(made, *sizes)


@pytest.mark.parametrize(("kind", "targets"), STREAMS)
@settings(max_examples=6, deadline=None)
@SIZES
def test_every_row_is_made_once_of_rows_that_are_there(
    kind: str, targets: int, height: int, width: int, stripe: int
) -> None:
    made, stride = STREAMS[kind, targets], STRIDE[kind]
    schedule = Schedule(made.inputs, made.layers, height * stride)
    there, kept = dict.fromkeys(schedule.heights, 0), dict.fromkeys(schedule.heights, 0)
    for rows in pushes(height * stride, stripe * stride):
        for number in made.inputs:
            there[number] += rows
        for step in schedule.push(rows):
            assert step.first == there[step.layer.target] < step.stop
            share = rows * schedule.heights[step.layer.target] / (height * stride)
            assert step.stop - step.first < share + 1
            for source, low, high in reads(step):
                assert kept[source] <= max(low, 0)
                assert min(high, schedule.heights[source]) <= there[source]
            there[step.layer.target] = step.stop
            assert all(kept[source] <= row <= there[source] for source, row in step.kept_from.items())
            kept.update(step.kept_from)
    assert there == schedule.heights


@dataclass(frozen=True, kw_only=True)
class Watched(Layer):
    """A layer whose results' memory is added up while it is alive."""

    layer: Layer
    alive: list[StorageWeakRef]
    stored: list[int]

    def window(self, place: int) -> Window:
        return self.layer.window(place)

    def reads(self, place: int, first: int, stop: int) -> tuple[int, int]:
        return self.layer.reads(place, first, stop)

    def rows(self, fetch: Fetch, first: int, stop: int, height: int) -> Tensor:
        made = self.layer.rows(fetch, first, stop, height)
        self.alive.append(StorageWeakRef(made.untyped_storage()))
        storages = {reference.cdata: reference for reference in self.alive if not reference.expired()}
        self.alive[:] = storages.values()
        total = sum(torch.UntypedStorage._new_with_weak_ptr(key).nbytes() for key in storages)
        self.stored.append(total)
        return made

    def compute(self, parts: Iterator[Tensor], skipped: int, count: int) -> Tensor:
        raise NotImplementedError


def watched(made: RowStream) -> tuple[RowStream, list[int]]:
    alive: list[StorageWeakRef] = []
    stored: list[int] = []
    layers = tuple(
        Watched(
            sources=layer.sources, target=layer.target, height=layer.height, width=layer.width,
            layer=layer, alive=alive, stored=stored,
        )
        for layer in made.layers
    )  # fmt: skip
    return replace(made, layers=layers), stored


def most_stored(made: RowStream, height: int, width: int, stripe: int) -> int:
    """The most bytes behind the maps' rows, those of a step's result included."""
    made, stored = watched(made)
    given = ([torch.zeros(rows, width, made.channels[n]) for n in made.inputs] for rows in pushes(height, stripe))
    with torch.no_grad():
        for _ in made.run(given, height):
            pass
    return max(stored)


@pytest.mark.parametrize(("kind", "targets"), STREAMS)
@settings(max_examples=4, deadline=None)
@SIZES
def test_a_run_holds_no_more_than_is_counted(kind: str, targets: int, height: int, width: int, stripe: int) -> None:
    made, stride = STREAMS[kind, targets], STRIDE[kind]
    sizes = height * stride, width * stride, stripe * stride
    # A block of rows is kept until more than half of them are not needed.
    assert most_stored(made, *sizes) <= 2 * made.peak_bytes(*sizes)


@pytest.mark.parametrize("kind", ["unet", "sensor3d"])
def test_rows_are_freed_whatever_the_height(kind: str) -> None:
    made, stride = STREAMS[kind, 1], STRIDE[kind]
    most = [most_stored(made, rows * stride, stride, stride) for rows in (12, 24)]
    assert 0 < most[0] == most[1]


def test_a_single_convolution_is_counted_to_the_byte() -> None:
    first, second = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 3, 3, padding=1)
    made, row = lower_to_row_stream(lambda image: (second(first(image)),), 1, 3, 8), 10 * 4
    # The second convolution waits a row for the first one, which waits a row for the stripe.
    kept_of_image, kept_of_map, new = 4 + 2, 4 + 2, 4
    in_first = (kept_of_image + (4 + 2)) * 3 + (2 + new) * 5
    in_second = 2 * 3 + (kept_of_map + (4 + 2)) * 5 + new * 3
    assert made.peak_bytes(64, 10, 4) == max(in_first, in_second) * row
    assert made.peak_bytes(64, 10, 4, itemsize=2) == max(in_first, in_second) * row // 2


@pytest.mark.parametrize(("kind", "targets"), STREAMS)
def test_memory_grows_with_the_width_and_the_stripe_but_not_with_the_height(kind: str, targets: int) -> None:
    made, stride = STREAMS[kind, targets], STRIDE[kind]

    @cache
    def count(rows: int, columns: int, stripe: int = 1) -> int:
        return made.peak_bytes(rows * stride, columns * stride, stripe * stride)

    assert count(80, 2) == count(40, 2)
    assert [count(20, width) for width in (2, 10)] == [count(20, 1) * width for width in (2, 10)]
    assert 8 * count(80, 2) > count(80, 2, 8) > count(80, 2, 2) > count(80, 2)


def test_targets_of_one_call_share_rows() -> None:
    one, two = (STREAMS["sensor3d", targets].peak_bytes(160, 64, 16) for targets in (1, 2))
    assert one < two < 2 * one
