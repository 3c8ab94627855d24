"""Sensor-3D as a function of single slices: equal to the plain network, row-local, and with the work saved that is."""

from collections.abc import Iterable
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.flop_counter import FlopCounterMode

from monai_app.networks import Sensor3D
from monai_app.networks.protocol import as_sequence
from monai_app.networks.sensor3d_sequence import Sensor3DSequence

DETECTORS, PHASES = 2, 3
ROW_LOCAL = {
    "add", "addcmul_", "cat", "clamp", "convolution", "max_pool2d_with_indices", "mul", "relu", "sigmoid", "slice",
    "split", "tanh",
}  # fmt: skip
"""Operations on stripes of rows, with the same arguments whatever the size of the images."""


def trained(dtype: torch.dtype = torch.float64, seed: int = 0, **options: Any) -> Sensor3D:
    """Make a network whose biases and running statistics do something."""
    torch.manual_seed(seed)
    network = Sensor3D(**{"detectors": DETECTORS, "phases": PHASES, "filters": 3, **options}).to(dtype).eval()
    with torch.no_grad():
        for name, values in [*network.named_parameters(), *network.named_buffers()]:
            if name.endswith(("bias", "running_mean", "running_var")):
                values.add_(torch.rand_like(values) * 0.5)
    return network


def consecutive(count: int, dtype: torch.dtype = torch.float64, rows: int = 16, columns: int = 24) -> list[Tensor]:
    generator = torch.Generator().manual_seed(count)
    return [torch.randn((1, DETECTORS, rows, columns), generator=generator).to(dtype) for _ in range(count)]


def plain(network: nn.Module, images: list[Tensor], slices: int) -> list[Tensor]:
    return [network(torch.cat(images[first : first + slices], 1)) for first in range(len(images) - slices + 1)]


def close(given: Iterable[Tensor], expected: Iterable[Tensor], tolerance: float = 1e-10) -> bool:
    return all(torch.allclose(a, b, rtol=0, atol=tolerance) for a, b in zip(given, expected, strict=True))


@pytest.mark.parametrize("head", ["final", "middle", "all"])
@pytest.mark.parametrize("slices", [3, 5, 7])
@torch.no_grad()
def test_sensor3d_is_the_plain_network(slices: int, head: str) -> None:
    for (merge, norm), targets in product(product(["sum", "concat"], ["none", "batch"]), [1, 2, 4]):
        network = trained(slices=slices, head=head, merge=merge, norm=norm)
        images = consecutive(targets + slices - 1)
        sequence = as_sequence(network, slices, targets)
        assert isinstance(sequence, Sensor3DSequence)
        logits = sequence(*images)
        assert logits[0].shape == (1, PHASES, 16, 24)
        assert close(logits, plain(network, images, slices)), (merge, norm, targets)


@settings(max_examples=25, deadline=None)
@given(
    slices=st.sampled_from([1, 3, 5]),
    levels=st.integers(2, 4),
    gate_activation=st.sampled_from(["hard_sigmoid", "sigmoid"]),
    head=st.sampled_from(["final", "middle"]),
    sides=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    end=st.integers(0, 3),
)
@torch.no_grad()
def test_any_levels_gates_and_sizes_with_repeated_end_slices(
    slices: int, levels: int, gate_activation: str, head: str, sides: tuple[int, int], end: int
) -> None:
    network = trained(slices=slices, levels=levels, gate_activation=gate_activation, head=head, dropout=0.5)
    rows, columns = (network.stride * side for side in sides)
    images = consecutive(slices + 3, rows=rows, columns=columns)
    for index in range(end):  # as a caller does at the first slice of a stack
        images[index] = images[end]
    before = [image.clone() for image in images]
    logits = as_sequence(network, slices, 4)(*images)
    assert close(logits, plain(network, images, slices))
    assert all(torch.equal(image, as_before) for image, as_before in zip(images, before, strict=True))


@pytest.mark.parametrize("head", ["final", "middle"])
@torch.no_grad()
def test_labels_in_float32_are_those_of_the_plain_network(head: str) -> None:
    network = trained(torch.float32, head=head, norm="batch", filters=8).to(memory_format=torch.channels_last)
    images = [image.to(memory_format=torch.channels_last) for image in consecutive(6, torch.float32, 48, 64)]
    logits, expected = as_sequence(network, 3, 4)(*images), plain(network, images, 3)
    assert close(logits, expected, 1e-5)
    assert all(torch.equal(a.argmax(1), b.argmax(1)) for a, b in zip(logits, expected, strict=True))


@pytest.mark.parametrize(("head", "norm"), [("final", "batch"), ("middle", "none")])
@torch.no_grad()
def test_a_trace_is_row_local_and_takes_each_slice_once(head: str, norm: str) -> None:
    sequence = as_sequence(trained(head=head, norm=norm), 3, 2)
    graph = make_fx(sequence)(*consecutive(4)).graph
    names = {str(node.target).split(".")[1] for node in graph.nodes if str(node.target).startswith("aten.")}
    assert names <= ROW_LOCAL
    for node in graph.find_nodes(op="placeholder"):
        assert [str(user.target) for user in node.users] == ["aten.convolution.default"]


def flops(network: nn.Module, images: list[Tensor]) -> int:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(*images)
    return int(counter.get_total_flops())


def expected_flops(slices: int, targets: int, filters: int, levels: int, steps: int) -> float:
    """Return the operations per pixel of the savings as described, ``steps`` being those of the second LSTM."""
    images = targets + slices - 1
    widths = [filters * 2**level for level in range(levels)]
    area = [4.0**-level for level in range(levels)]
    encoder = sum(9 * (a + w) * w * s for a, w, s in zip([DETECTORS, *widths], widths, area, strict=False))
    skips = sum(9 * w * w * s for w, s in zip(widths[:-1], area, strict=False))
    gate = 9 * widths[-1] ** 2 * area[-1]
    per_slice = images * (encoder + skips) + 2 * (4 * images - 1) * gate  # no forget gate at either end
    join = 2 * (slices - 1) * 4 * gate
    # Up-sampled features have twice a block's channels; 4 x 4 kernels meet each of their pixels at low resolution.
    decoder = sum(slices * (16 * 2 * w * w / 4 + 9 * w * w) * s for w, s in zip(widths[:-1], area, strict=False))
    read_out = 2 * 9 * filters**2 * (3 + 8 * (steps - 1))
    return float(2 * (per_slice + targets * (join + decoder + read_out + filters * PHASES)))


@pytest.mark.parametrize("slices", [3, 5])
@pytest.mark.parametrize("head", ["final", "middle"])
def test_only_the_work_described_is_done(slices: int, head: str) -> None:
    network = trained(slices=slices, head=head, filters=4)
    images = consecutive(slices + 7)
    spent = flops(as_sequence(network, slices, 8), images)
    steps = slices if head == "final" else slices // 2 + 1
    assert spent == expected_flops(slices, 8, 4, 3, steps) * 16 * 24
    assert spent / 8 < 0.75 * flops(network, [torch.cat(images[:slices], 1)])
