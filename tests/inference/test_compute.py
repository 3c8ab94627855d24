"""Tiles computed by a network, streamed or not, against the network itself on the scaled slab."""

import logging
from functools import cache
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from monai_app.device import precision
from monai_app.device.precision import Precision, checked_dtype, has_bfloat16
from monai_app.errors import ConfigError
from monai_app.inference.compute import TileNetwork
from monai_app.inference.model import Model
from monai_app.inference.streaming.upload import Raw, Uploader
from tests.inference.examples import DETECTORS, SCALING, SLICES, STRIDE, model_of
from tests.specs import normaliser, spec_of

CPU = torch.device("cpu")


@cache
def tiles_of(kind: str) -> TileNetwork:
    return TileNetwork(model_of(kind), CPU)


def greys(slices: int, rows: int, columns: int, dtype: type = np.uint8) -> dict[int, Raw]:
    rng = np.random.default_rng(rows)
    return {z: rng.integers(0, np.iinfo(dtype).max, (len(DETECTORS), rows, columns), dtype) for z in range(slices)}


def whole(model: Model, planes: dict[int, Raw], sequence: tuple[int, ...], targets: int) -> list[Tensor]:
    """(rows, columns, K) of every target, by the network as training uses it."""
    normalise, logits = normaliser(model.spec), []
    for target in range(targets):
        slab = np.concatenate([planes[z] for z in sequence[target : target + SLICES]]).astype(np.float32)
        with torch.no_grad():
            logits.append(model.network(normalise(torch.from_numpy(slab))[None])[0].permute(1, 2, 0))
    return logits


def computed(
    network: TileNetwork, planes: dict[int, Raw], sequence: tuple[int, ...], targets: int, stripe: int
) -> list[Tensor]:
    parts: list[list[Tensor]] = [[] for _ in range(targets)]
    for target, first, logits in network.logits(planes, sequence, targets, stripe):
        assert first == sum(part.shape[0] for part in parts[target])
        parts[target].append(logits)
    return [torch.cat(part) for part in parts]


@pytest.mark.parametrize("sequence", [(0, 1, 2), (0, 0, 1), (0, 0, 1, 2, 2), (1, 1, 1)])
@pytest.mark.parametrize("kind", STRIDE)
def test_logits_are_those_of_the_network_on_the_scaled_slab(kind: str, sequence: tuple[int, ...]) -> None:
    network, stride, targets = tiles_of(kind), STRIDE[kind], len(sequence) - SLICES + 1
    assert network.streamed == (kind != "BasicUNet bilinear")
    planes = greys(3, 7 * stride, 3 * stride)
    expected = whole(network.model, planes, sequence, targets)
    for stripe in (stride, 3 * stride, 9 * stride):
        given = computed(network, planes, sequence, targets, stripe)
        torch.testing.assert_close(given, expected, rtol=0, atol=1e-5)


def test_a_network_that_cannot_be_streamed_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        TileNetwork(model_of("sensor3d"), CPU)
        assert not caplog.messages
        TileNetwork(model_of("BasicUNet bilinear"), CPU)
    (message,) = caplog.messages
    assert message.startswith(
        "the network cannot be streamed and runs on complete tiles, because of its up-sampling with aligned corners, "
        "which"
    )


def test_greys_of_16_bits_are_scaled_as_well() -> None:
    network, planes = tiles_of("sensor3d"), greys(3, 8, 8, np.uint16)
    (given,), (expected,) = computed(network, planes, (0, 1, 2), 1, 4), whole(network.model, planes, (0, 1, 2), 1)
    torch.testing.assert_close(given, expected, rtol=1e-5, atol=1e-4)


def test_layers_are_made_once_for_the_two_numbers_of_targets_in_use() -> None:
    network = TileNetwork(model_of("sensor3d"), CPU)
    kept = network.stream(4)
    assert len(kept.inputs) == SLICES + 3
    assert len(kept.outputs) == 4
    assert network.stream(3) is not kept
    assert network.stream(4) is kept
    assert network.stream(2) is network.stream(2)
    assert network.stream(4) is not kept


def test_a_network_in_training_mode_is_refused() -> None:
    model = model_of("unet")
    model.network.train()
    with pytest.raises(ConfigError, match=r"training mode.* eval\(\)"):
        TileNetwork(model, CPU)


@pytest.mark.parametrize("kind", STRIDE)
def test_bfloat16_is_near(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)  # it computes everywhere, if not fast
    network, stride = TileNetwork(model_of(kind), CPU, "bfloat16"), STRIDE[kind]
    planes = greys(3, 4 * stride, 3 * stride)
    (given,) = computed(network, planes, (0, 1, 2), 1, stride)
    (expected,) = whole(model_of(kind), planes, (0, 1, 2), 1)
    assert given.dtype == torch.bfloat16
    assert all(values.dtype == torch.bfloat16 for values in network.model.network.parameters())
    spread = float(expected.std())
    difference = (given.float() - expected).abs()
    assert 1e-4 * spread < float(difference.mean()) < 0.03 * spread


def test_precisions_that_are_unknown_or_slow_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked_dtype("float32", CPU) == torch.float32
    with pytest.raises(ConfigError, match="precision 'half': must be one of float32, bfloat16"):
        TileNetwork(model_of("unet"), CPU, cast("Precision", "half"))
    assert not has_bfloat16(torch.device("meta"))
    for features, has in (
        ({}, False),
        ({"amx_bf16": True}, True),
        ({"avx512_bf16": True}, False),
        ({"avx512_bf16": True, "cpu_name": "Intel(R) Xeon(R) Processor"}, False),
        ({"avx512_bf16": True, "cpu_name": "AMD EPYC"}, True),
        ({"avx512_bf16": False, "cpu_name": "AMD EPYC"}, False),
        ({"avx2": True}, False),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda features=features: features, raising=False)
        assert has_bfloat16(CPU) == has
    with pytest.raises(ConfigError, match=r"precision bfloat16: this cpu is slower with bfloat16 .*; leave it out"):
        TileNetwork(model_of("unet"), CPU, "bfloat16")
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not precision.has_bfloat16(CPU)


@settings(deadline=None)
@given(
    rows=st.integers(1, 40),
    stripe=st.integers(1, 50),
    sequence=st.lists(st.integers(0, 2), min_size=1, max_size=5),
    dtype=st.sampled_from([np.uint8, np.uint16, np.int16]),
    order=st.sampled_from("<>"),
)
def test_any_stripe_uploads_the_same(rows: int, stripe: int, sequence: list[int], dtype: type, order: Any) -> None:
    model = Model(spec_of(DETECTORS, SLICES, scaling=SCALING, stride=1), nn.Identity(), "weights.pt")
    planes = {z: grey.astype(grey.dtype.newbyteorder(order)) for z, grey in greys(3, rows, 7, dtype).items()}
    stripes = list(Uploader(model, CPU, torch.float32).stripes(planes, sequence, stripe))
    assert [given[0].shape[0] for given in stripes] == [min(stripe, rows - row) for row in range(0, rows, stripe)]
    normalise = normaliser(spec_of(DETECTORS, 1, scaling=SCALING))
    for z, *parts in zip(sequence, *stripes, strict=True):
        assert all(part.is_contiguous() for part in parts)
        expected = normalise(torch.from_numpy(planes[z].astype(np.float32)))
        assert torch.equal(torch.cat(parts).permute(2, 0, 1), expected)


def test_a_slice_that_is_wanted_twice_is_uploaded_once() -> None:
    model = Model(spec_of(DETECTORS, SLICES, scaling=SCALING, stride=1), nn.Identity(), "weights.pt")
    (first, second, third), *_ = Uploader(model, CPU, torch.bfloat16).stripes(greys(2, 8, 8), (0, 0, 1), 4)
    assert first is second
    assert third is not first
    assert third.dtype == torch.bfloat16


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_on_cuda_copies_run_ahead_and_change_nothing() -> None:
    cuda, planes = torch.device("cuda"), greys(4, 64, 32)
    expected = computed(tiles_of("sensor3d"), planes, (0, 1, 2, 3), 2, 16)
    given = computed(TileNetwork(model_of("sensor3d"), cuda), planes, (0, 1, 2, 3), 2, 16)
    torch.testing.assert_close([logits.cpu() for logits in given], expected, rtol=0, atol=1e-3)
