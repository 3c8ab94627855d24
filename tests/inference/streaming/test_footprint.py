"""The counted memory of a row stream against the rows that a run really holds."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai_app.inference.streaming.footprint import peak_bytes
from torch import Tensor

from monai_app.inference.streaming import rows
from monai_app.inference.streaming.layers import Layer
from monai_app.inference.streaming.lowering import stream
from monai_app.inference.streaming.rows import RowStream
from monai_app.networks.protocol import as_sequence
from tests.inference.examples import DETECTORS, SLICES, STRIDE
from tests.zoo import network_of


def stream_of(kind: str, targets: int = 1) -> RowStream:
    sequence = as_sequence(network_of(kind), SLICES, targets)
    return stream(sequence, SLICES + targets - 1, len(DETECTORS), 2 * STRIDE[kind])


STREAMS = {(kind, targets): stream_of(kind, targets) for kind in ("unet", "sensor3d") for targets in (1, 2)}


class Meter:
    """Counts what the maps of runs hold, without looking at the tensors that are laid together on the way.

    Attributes:
        peak: most bytes of rows that were made and are still needed, with those that were just fetched and made.
        stored: most bytes of memory behind the maps' blocks.
        rows: most bytes of two rows for each source of a layer.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.peak = self.stored = self.fetched = self.rows = 0
        self.maps: list[rows._Map] = []
        meter = self

        class Metered(rows._Map):
            def __init__(self, height: int) -> None:
                super().__init__(height)
                self.kept_from, self.row_bytes = 0, 0
                meter.maps.append(self)

            @property
            def bytes(self) -> int:
                return (self.made - self.kept_from) * self.row_bytes if self.readers else 0

            def fetch(self, first: int, stop: int) -> Tensor:
                meter.fetched += (stop - first) * self.row_bytes
                return super().fetch(first, stop)

            def add(self, made: Tensor) -> None:
                self.row_bytes = made[0].nbytes
                if meter.fetched:  # not an input
                    held = sum(other.bytes for other in meter.maps)
                    meter.peak = max(meter.peak, held + meter.fetched + made.nbytes)
                super().add(made)
                meter.fetched = 0

            def release(self, row: int) -> None:
                self.kept_from = row
                super().release(row)
                blocks = {part.untyped_storage().data_ptr(): part for kept in meter.maps for _, part in kept.blocks}
                meter.stored = max(meter.stored, sum(part.untyped_storage().nbytes() for part in blocks.values()))

        monkeypatch.setattr(rows, "_Map", Metered)

    def run(self, made: RowStream, height: int, width: int, stripe: int) -> None:
        starts = range(0, height, stripe)
        stripes = (
            [torch.zeros(min(stripe, height - first), width, made.channels[number]) for number in made.inputs]
            for first in starts
        )
        with torch.no_grad():
            for _ in made.run(stripes, height):
                pass
        layers: dict[int, Layer] = {layer.target: layer for layer in made.layers}
        bytes_of = dict(zip([*made.inputs, *layers], (kept.row_bytes for kept in self.maps), strict=True))
        self.rows = max(2 * sum(bytes_of[source] for source in layer.sources) for layer in made.layers)


@pytest.mark.parametrize(("kind", "targets"), STREAMS)
@settings(max_examples=8, deadline=None)
@given(height=st.integers(1, 12), width=st.integers(1, 3), stripe=st.integers(1, 4))
def test_the_count_is_what_a_run_holds(kind: str, targets: int, height: int, width: int, stripe: int) -> None:
    made, stride = STREAMS[kind, targets], STRIDE[kind]
    with pytest.MonkeyPatch.context() as monkeypatch:
        meter = Meter(monkeypatch)
        meter.run(made, height * stride, width * stride, stripe * stride)
    counted = peak_bytes(made, height * stride, width * stride, stripe * stride)
    # Of what is laid together rows are counted about, and a shorter stripe at the end is counted as a whole one.
    assert meter.peak - meter.rows <= counted
    assert counted <= meter.peak + meter.rows or height % stripe
    assert meter.stored <= 2 * counted  # a block is kept until more than half of its rows are not needed


def test_a_single_convolution_is_counted_to_the_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = torch.ones(5, 3, 3, 3)

    def network(image: Tensor) -> tuple[Tensor, ...]:
        return (torch.conv2d(torch.conv2d(image, weight, padding=1), weight.transpose(0, 1), padding=1),)

    made, row = stream(network, 1, 3, 8), 10 * 4
    # The second convolution waits a row for the first one, which waits a row for the stripe.
    kept_of_image, kept_of_map, new = 4 + 2, 4 + 2, 4
    first = (kept_of_image + (4 + 2)) * 3 + (2 + new) * 5
    second = 2 * 3 + (kept_of_map + (4 + 2)) * 5 + new * 3
    meter = Meter(monkeypatch)
    meter.run(made, 64, 10, 4)
    assert peak_bytes(made, 64, 10, 4) == meter.peak == max(first, second) * row
    assert peak_bytes(made, 64, 10, 4, itemsize=2) == meter.peak // 2


@pytest.mark.parametrize(("kind", "targets"), STREAMS)
def test_it_grows_with_the_width_and_the_stripe_but_not_with_the_height(kind: str, targets: int) -> None:
    made, stride = STREAMS[kind, targets], STRIDE[kind]
    count: Callable[..., int] = lambda rows, columns, stripe=1: peak_bytes(  # noqa: E731
        made, rows * stride, columns * stride, stripe * stride
    )
    assert count(160, 2) == count(80, 2) == count(40, 2)
    assert [count(20, width) for width in (2, 10)] == [count(20, 1) * width for width in (2, 10)]
    assert 8 * count(80, 2) > count(80, 2, 8) > count(80, 2, 2) > count(80, 2)


def test_targets_of_one_call_share_rows() -> None:
    one, two = (peak_bytes(STREAMS["sensor3d", targets], 160, 64, 16) for targets in (1, 2))
    assert one < two < 2 * one
