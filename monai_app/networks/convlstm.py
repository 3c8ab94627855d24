"""Convolutional LSTM over a sequence of feature maps, with the semantics of Keras' ``ConvLSTM2D``."""

from typing import Final

import torch
from torch import Tensor, nn

from monai_app.errors import ConfigError
from monai_app.networks.cell import DifferentiableUpdate, update

GATE_ACTIVATIONS = ("hard_sigmoid", "sigmoid")
MERGES = ("sum", "concat")


class ConvLSTM2d(nn.Module):
    r"""Convolutional LSTM in one direction (Shi et al. 2015, arXiv 1506.04214), without peepholes, as in Keras.

    With ``*`` the 3 x 3 convolution, padded with zeros to the same size, and ``.`` the product of elements::

        i = s(Wi * x + Ui * h + bi)        c' = f . c + i . g
        f = s(Wf * x + Uf * h + bf)        h' = o . tanh(c')
        o = s(Wo * x + Uo * h + bo)
        g = tanh(Wg * x + Ug * h + bg)     h = c = 0 before the first step

    Each gate has one bias, in the convolution of the input. Input kernels start as Glorot uniform, recurrent ones
    orthogonal, biases zero but for the forget gate's, which is one.

    Args:
        in_channels: channels of the input.
        hidden_channels: channels F of the state.
        kernel_size: side of the kernels in pixels, odd.
        gate_activation: s: ``"hard_sigmoid"``, which is ``clip(0.2 v + 0.5, 0, 1)`` as in Keras 2, or ``"sigmoid"``.

    Attributes:
        input_to_state: holds the kernels W and biases for the gates i, f, o, g, in this order along the channels.
        state_to_state: holds the kernels U. Both are Keras' weights; what is convolved with is made from them at every
            call, so their own ``forward`` is not used.

    Raises:
        ConfigError: an unknown gate activation or an even kernel.
    """

    hidden_channels: Final[int]
    padding: Final[int]
    hard: Final[bool]

    def __init__(
        self, in_channels: int, hidden_channels: int, kernel_size: int = 3, gate_activation: str = "hard_sigmoid"
    ) -> None:
        super().__init__()
        check_choice("gate_activation", gate_activation, GATE_ACTIVATIONS)
        if kernel_size % 2 == 0:
            raise ConfigError(f"kernel_size {kernel_size}: must be odd, so that the state keeps the size of the input")
        self.hidden_channels = hidden_channels
        self.hard = gate_activation == "hard_sigmoid"
        self.padding = kernel_size // 2
        gates = 4 * hidden_channels
        self.input_to_state = nn.Conv2d(in_channels, gates, kernel_size, padding=self.padding)
        self.state_to_state = nn.Conv2d(hidden_channels, gates, kernel_size, padding=self.padding, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights again."""
        nn.init.xavier_uniform_(self.input_to_state.weight)
        nn.init.orthogonal_(self.state_to_state.weight)
        bias = self.input_to_state.bias
        assert bias is not None
        nn.init.zeros_(bias)
        with torch.no_grad():
            bias[self.hidden_channels : 2 * self.hidden_channels] = 1

    def forward(self, sequence: Tensor, reverse: bool = False) -> list[Tensor]:
        """Return the hidden state after each step.

        Args:
            sequence: (S, B, C, H, W).
            reverse: begin at the last of the S elements.

        Returns:
            S states (B, F, H, W) in the order of the steps: with ``reverse`` the first belongs to the last element.
        """
        kernel, bias, state_kernel = self.kernels()
        # One convolution for input and state: a sum less to make, and more channels at a time, which is faster on CPUs.
        both = torch.cat([kernel, state_kernel], 1)
        length = sequence.shape[0]
        # An element at a time: after one convolution of all, their gradients would be put together from parts again.
        elements = sequence.unbind(0)
        states: list[Tensor] = []
        hidden, cell = self._step(self._convolve(elements[length - 1 if reverse else 0], kernel, bias), None)
        states.append(hidden)
        for step in range(1, length):
            element = elements[length - 1 - step if reverse else step]
            hidden, cell = self._step(self._convolve(torch.cat([element, hidden], 1), both, bias), cell)
            states.append(hidden)
        return states

    def _convolve(self, images: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        return nn.functional.conv2d(images, kernel, bias, padding=self.padding)

    def _step(self, gates: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return hidden and cell state; see :func:`monai_app.networks.cell.update`."""
        if not torch.jit.is_scripting():  # type: ignore[attr-defined]
            leaving = torch._C._get_tracing_state() is not None or torch.compiler.is_compiling()
            if torch.is_grad_enabled() and not leaving:
                stepped: tuple[Tensor, Tensor] = DifferentiableUpdate.apply(gates, cell, self.hard)
                return stepped
        state = update(gates, cell, self.hard)
        return state[0], state[1]

    def kernels(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the input's kernels and biases and the state's kernels, the hard sigmoid's 0.2 v + 0.5 folded in.

        Convolution is linear, so a hard gate is a clamped convolution. Applied to the convolution's result, slope and
        offset would take two more passes over all feature maps.
        """
        kernel, bias, state_kernel = self.input_to_state.weight, self.input_to_state.bias, self.state_to_state.weight
        assert bias is not None
        if not self.hard:
            return kernel, bias, state_kernel
        slope, offset = torch.ones_like(bias), torch.zeros_like(bias)
        slope[: 3 * self.hidden_channels] = 0.2
        offset[: 3 * self.hidden_channels] = 0.5
        columns = slope[:, None, None, None]
        return kernel * columns, bias * slope + offset, state_kernel * columns


class BidirectionalConvLSTM2d(nn.Module):
    """Two convolutional LSTMs, one from the first element to the last and one back, merged.

    Args:
        in_channels: of each direction, see :class:`ConvLSTM2d`.
        hidden_channels: likewise.
        gate_activation: likewise.
        merge: ``"sum"`` of the two directions, or ``"concat"`` of their channels (forward first).

    Attributes:
        out_channels: F, or 2 F where the directions are concatenated.

    Raises:
        ConfigError: an unknown gate activation or merge.
    """

    concat: Final[bool]
    out_channels: Final[int]

    def __init__(
        self, in_channels: int, hidden_channels: int, gate_activation: str = "hard_sigmoid", merge: str = "sum"
    ) -> None:
        super().__init__()
        check_choice("merge", merge, MERGES)
        self.concat = merge == "concat"
        self.out_channels = 2 * hidden_channels if self.concat else hidden_channels
        self.ahead = ConvLSTM2d(in_channels, hidden_channels, gate_activation=gate_activation)
        self.back = ConvLSTM2d(in_channels, hidden_channels, gate_activation=gate_activation)

    def forward(self, sequence: Tensor) -> Tensor:
        """Return the merged states of all elements: (S, B, C, H, W) to (S, B, out_channels, H, W)."""
        ahead = self.ahead(sequence)
        back = self.back(sequence, reverse=True)
        last = len(back) - 1
        merged = [self._merge(state, back[last - step]) for step, state in enumerate(ahead)]
        # Not stack, which would lay the channels of channels-last states out again.
        return torch.unflatten(torch.cat(merged), 0, (len(merged), -1))

    def final(self, sequence: Tensor) -> Tensor:
        """Return the merged last states, each direction having seen every element: to (B, out_channels, H, W)."""
        return self._merge(self.ahead(sequence)[-1], self.back(sequence, reverse=True)[-1])

    def at(self, sequence: Tensor, index: int) -> Tensor:
        """Return the merged states of one element, to (B, out_channels, H, W); steps beyond it are not made."""
        return self._merge(self.ahead(sequence[: index + 1])[-1], self.back(sequence[index:], reverse=True)[-1])

    def _merge(self, ahead: Tensor, back: Tensor) -> Tensor:
        return torch.cat([ahead, back], 1) if self.concat else ahead + back


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse an argument that is none of the known words, by a `ConfigError`."""
    if value not in choices:
        raise ConfigError(f"{name} {value!r}: must be one of {', '.join(choices)}")
