"""The convolutional LSTM equals its equations, step by step in numpy, and Keras' layer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from monai_app.errors import ConfigError
from monai_app.networks import BidirectionalConvLSTM2d, ConvLSTM2d
from tests.conftest import run_command


def seeded(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def bias_of(layer: ConvLSTM2d) -> torch.Tensor:
    bias = layer.input_to_state.bias
    assert bias is not None
    return bias


def convolve(images: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    """(B, C, H, W) with (O, C, h, w) to (B, O, H, W), zeros around the image; plain loops."""
    planes = [[sum(map(same_size, image, kernel)) for kernel in kernels] for image in images]
    return np.array(planes)


def same_size(plane: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return np.asarray(correlate2d(plane, kernel, mode="same"))


def plain_convlstm(
    layer: ConvLSTM2d, sequence: np.ndarray, sigmoid: Callable[[np.ndarray], np.ndarray]
) -> list[np.ndarray]:
    """The equations of the docstring, a step at a time, with each gate's own kernels."""
    weights = [w.detach().double().numpy() for w in (layer.input_to_state.weight, layer.state_to_state.weight)]
    inputs, states = (np.split(weight, 4) for weight in weights)
    biases = np.split(bias_of(layer).detach().double().numpy(), 4)
    h = c = np.zeros((sequence.shape[1], layer.hidden_channels, *sequence.shape[3:]))
    result = []
    for x in sequence:
        i, f, o, g = (
            convolve(x, w) + convolve(h, u) + b[:, None, None]
            for w, u, b in zip(inputs, states, biases, strict=True)
        )  # fmt: skip
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        result.append(h)
    return result


SIGMOIDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "hard_sigmoid": lambda v: np.clip(0.2 * v + 0.5, 0, 1),
    "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
}


@pytest.mark.parametrize("gate_activation", SIGMOIDS)
@pytest.mark.parametrize("reverse", [False, True])
def test_equals_a_plain_computation_step_by_step(gate_activation: str, reverse: bool) -> None:
    torch.manual_seed(0)
    layer = ConvLSTM2d(2, 3, gate_activation=gate_activation)
    with torch.no_grad():
        bias_of(layer).add_(seeded((12,)))
    sequence = 2 * seeded((4, 2, 2, 5, 6))  # wide enough that hard gates are closed and open
    ordered = sequence.flip(0) if reverse else sequence
    expected = plain_convlstm(layer, ordered.double().numpy(), SIGMOIDS[gate_activation])
    states = layer(sequence, reverse=reverse)
    assert len(states) == 4
    for state, plain in zip(states, expected, strict=True):
        np.testing.assert_allclose(state.detach().numpy(), plain, atol=1e-5)


KERAS = """
import os, sys
os.environ["KERAS_BACKEND"] = "torch"
import keras, numpy as np
data = np.load(sys.argv[1])
f = data["recurrent"].shape[0] // 4
def gates(kernel):  # i, f, o, g along the first axis to Keras' i, f, c, o along the last
    i, forget, o, g = np.split(kernel, 4)
    joined = np.concatenate([i, forget, g, o])
    return joined.transpose(2, 3, 1, 0) if kernel.ndim == 4 else joined
sequence = data["sequence"].transpose(1, 0, 3, 4, 2)  # (B, S, H, W, C)
directions = []
for reverse in (False, True):
    layer = keras.layers.ConvLSTM2D(
        f, 3, padding="same", return_sequences=True, recurrent_activation="sigmoid", go_backwards=reverse)
    layer.build(sequence.shape)
    layer.set_weights([gates(data["input"]), gates(data["recurrent"]), gates(data["bias"])])
    directions.append(np.asarray(keras.ops.convert_to_numpy(layer(sequence))).transpose(1, 0, 4, 2, 3))
np.save(sys.argv[2], directions)
"""


def test_equals_keras_on_the_same_weights(tmp_path: Path) -> None:
    torch.manual_seed(1)
    layer = ConvLSTM2d(3, 4, gate_activation="sigmoid")
    with torch.no_grad():
        bias_of(layer).add_(seeded((16,)))
    sequence = seeded((3, 2, 3, 7, 9))
    arrays = {
        "input": layer.input_to_state.weight, "recurrent": layer.state_to_state.weight,
        "bias": bias_of(layer), "sequence": sequence,
    }  # fmt: skip
    saved: dict[str, Any] = {name: value.detach().numpy() for name, value in arrays.items()}
    np.savez(tmp_path / "case.npz", **saved)
    # In a process of its own: Keras decides on its backend when it is imported, and warns of much.
    run_command("-c", KERAS, tmp_path / "case.npz", tmp_path / "states.npy")
    for reverse, expected in zip((False, True), np.load(tmp_path / "states.npy"), strict=True):
        states = torch.stack(layer(sequence, reverse=reverse)).detach().numpy()
        np.testing.assert_allclose(states, expected, atol=1e-5)


def test_the_hard_sigmoid_is_keras_2s_and_not_torchs() -> None:
    layer = ConvLSTM2d(1, 1)
    states = []
    for value in (-3.0, -2.5, 0.0, 1.0, 2.5, 9.0):
        with torch.no_grad():
            layer.input_to_state.weight.zero_()
            bias_of(layer).copy_(torch.tensor([9.0, 0.0, value, 99.0]))  # i = g = c = 1
        states.append(layer(torch.zeros(1, 1, 1, 1, 1))[0])
    gates = torch.stack(states).flatten() / torch.tensor(1.0).tanh()  # h = o . tanh(c)
    torch.testing.assert_close(gates, torch.tensor([0.0, 0.0, 0.5, 0.7, 1.0, 1.0]))


def test_weights_start_as_in_keras() -> None:
    torch.manual_seed(0)
    layer = ConvLSTM2d(8, 16)
    recurrent = layer.state_to_state.weight.detach().flatten(1)
    torch.testing.assert_close(recurrent @ recurrent.T, torch.eye(64), atol=1e-5, rtol=0)
    bias = bias_of(layer).detach()
    assert bias[16:32].eq(1).all()
    assert bias.sum() == 16
    bound = (6 / (9 * 8 + 9 * 64)) ** 0.5
    assert layer.input_to_state.weight.abs().max().item() == pytest.approx(bound, rel=0.01)


@pytest.mark.parametrize("gate_activation", SIGMOIDS)
def test_states_are_the_same_with_and_without_gradients(gate_activation: str) -> None:
    torch.manual_seed(0)
    layer, sequence = ConvLSTM2d(2, 3, gate_activation=gate_activation), seeded((3, 2, 2, 6, 4))
    with torch.no_grad():
        plain = layer(sequence)
    for state, expected in zip(layer(sequence), plain, strict=True):
        assert state.grad_fn.name() == "DifferentiableUpdateBackward"  # training takes the written-out derivative
        assert torch.equal(state, expected)


@pytest.mark.parametrize("merge", ["sum", "concat"])
def test_two_directions_are_merged_slice_by_slice(merge: str) -> None:
    torch.manual_seed(0)
    layer, sequence = BidirectionalConvLSTM2d(2, 3, merge=merge), seeded((5, 2, 2, 6, 4))
    ahead, back = layer.ahead(sequence), layer.back(sequence, reverse=True)[::-1]
    merged = [torch.cat(pair, 1) if merge == "concat" else sum(pair) for pair in zip(ahead, back, strict=True)]
    torch.testing.assert_close(layer(sequence), torch.stack(merged))
    torch.testing.assert_close(layer.at(sequence, 2), merged[2])
    last = (ahead[-1], back[0])  # each direction's last step
    torch.testing.assert_close(layer.final(sequence), torch.cat(last, 1) if merge == "concat" else sum(last))
    assert layer.out_channels == merged[0].shape[1]


def test_unknown_words_and_even_kernels_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"gate_activation 'tanh': must be one of hard_sigmoid, sigmoid"):
        ConvLSTM2d(1, 1, gate_activation="tanh")
    with pytest.raises(ConfigError, match="merge 'mean'"):
        BidirectionalConvLSTM2d(1, 1, merge="mean")
    with pytest.raises(ConfigError, match="kernel_size 4"):
        ConvLSTM2d(1, 1, kernel_size=4)
