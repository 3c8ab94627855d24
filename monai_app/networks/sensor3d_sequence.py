"""Sensor-3D as a function of single slices with several targets; see :mod:`monai_app.networks.protocol`."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from monai_app.networks.cell import activated, next_state
from monai_app.networks.convlstm import BidirectionalConvLSTM2d, ConvLSTM2d
from monai_app.networks.protocol import SequenceNetwork


class _Sensor3D(Protocol):
    encoder: nn.ModuleList
    bottleneck: nn.Sequential
    join: BidirectionalConvLSTM2d
    decoder: nn.ModuleList
    read_out: BidirectionalConvLSTM2d
    classify: nn.Conv2d

    @property
    def slices(self) -> int: ...

    @property
    def head(self) -> str: ...


class Terms(NamedTuple):
    """What a step of a convolutional LSTM activates: the gates i, f, o, or i, o for a first step, and the candidate g.

    They are (1, 3 F, H, W) or (1, 2 F, H, W), and (1, F, H, W).
    """

    gates: Tensor
    candidate: Tensor


class EncodedSlice(NamedTuple):
    """What all slabs with a slice share: its part of both directions at the coarsest level and of the decoder."""

    ahead: Terms
    back: Terms
    skips: list[Tensor]


class Sensor3DSequence(SequenceNetwork):
    """Sensor-3D with the work that its targets share done once, and none that cannot reach the output.

    The logits are the plain network's up to rounding (1e-5 in float32), in evaluation mode, where the head ``"all"``
    is ``"middle"``. What is saved:

    * Once a slice: the encoder, the input's part of the first convolutional LSTM in both directions, and the skip's
      part of the first convolution of each decoder block (a convolution of concatenated channels is a sum of two).
    * A first step knows no state: neither the recurrent convolution nor the forget gate is computed.
    * With the head ``"middle"`` the second convolutional LSTM stops at the middle slice from either side.
    * Up-sampling and the convolution behind it are one transposed convolution, with 2.25 times fewer multiplications.
    * Batch normalisation is folded into the convolutions.

    Kernels are derived from the network's weights here and now: weights changed later are not followed. They are laid
    out channels-last, as the images should be.

    Raises:
        ConfigError: see :class:`SequenceNetwork`.
    """

    def __init__(self, network: _Sensor3D, targets: int) -> None:
        super().__init__(network.slices, targets)
        self.reach = self.slices if network.head == "final" else self.slices // 2 + 1  # steps of the second LSTM
        self.concat = network.join.concat
        self.encoder = nn.ModuleList(_Block(block) for block in [*network.encoder, network.bottleneck])
        self.join_ahead, self.join_back = _SharedLSTM(network.join.ahead), _SharedLSTM(network.join.back)
        self.skips = nn.ModuleList(_skip_part(block) for block in network.decoder)
        self.decoder = nn.ModuleList(_DecoderBlock(block) for block in network.decoder)
        self.read_out_ahead = _ReadOutLSTM(network.read_out.ahead)
        self.read_out_back = _ReadOutLSTM(network.read_out.back)
        self.classify = _Convolution(network.classify.weight, network.classify.bias)

    def forward(self, *images: Tensor) -> tuple[Tensor, ...]:
        """See :meth:`SequenceNetwork.forward`."""
        self._check(images)
        last = len(images) - 1
        slab: list[EncodedSlice] = []
        logits: list[Tensor] = []
        for index, image in enumerate(images):
            slab.append(self._encode(image, opens=index == 0, closes=index == last))
            if len(slab) == self.slices:
                logits.append(self._logits(self._decode(slab)))
                slab.pop(0)
        return tuple(logits)

    def _encode(self, image: Tensor, opens: bool, closes: bool) -> EncodedSlice:
        """Return what depends on one slice; the first and the last of a call are only ever a direction's first step."""
        features: list[Tensor] = []
        for index, block in enumerate(self.encoder):
            image = block(functional.max_pool2d(image, 2) if index else image)
            features.append(image)
        skips = [part(skip) for part, skip in zip(self.skips, reversed(features[:-1]), strict=True)]
        return EncodedSlice(self.join_ahead.terms(image, opens), self.join_back.terms(image, closes), skips)

    def _decode(self, slab: Sequence[EncodedSlice]) -> list[Tensor]:
        """Join a slab's slices at the coarsest level and return each one's features at full resolution."""
        ahead: list[Tensor] = self.join_ahead([encoded.ahead for encoded in slab])
        back: list[Tensor] = self.join_back([encoded.back for encoded in reversed(slab)])
        decoded = []
        for encoded, *states in zip(slab, ahead, reversed(back), strict=True):
            images = self._merge(*states)
            for block, skip in zip(self.decoder, encoded.skips, strict=True):
                images = block(images, skip)
            decoded.append(images)
        return decoded

    def _logits(self, decoded: list[Tensor]) -> Tensor:
        ahead = self.read_out_ahead(decoded[: self.reach])
        back = self.read_out_back(decoded[::-1][: self.reach])
        logits: Tensor = self.classify(self._merge(ahead, back))
        return logits

    def _merge(self, ahead: Tensor, back: Tensor) -> Tensor:
        return torch.cat([ahead, back], 1) if self.concat else ahead + back


class _Convolution(nn.Module):
    """A convolution to the same size, with kernels (O, I, n, n) derived from a network's, which stay as they are."""

    def __init__(self, kernel: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.kernel = _fixed(kernel.contiguous(memory_format=torch.channels_last))
        self.bias = None if bias is None else _fixed(bias)
        self.padding = kernel.shape[-1] // 2

    def forward(self, images: Tensor) -> Tensor:
        return functional.conv2d(images, self.kernel, self.bias, padding=self.padding)


class _UpConvolution(nn.Module):
    """Nearest up-sampling by 2 and a 3 x 3 convolution without bias behind it, in one.

    Every pixel reaches the 2 x 2 pixels that it becomes, and they their neighbours: the kernel is the convolution's,
    spread by a box of 2 x 2. As a transposed convolution of stride 2 it is applied to each low-resolution pixel once.
    """

    def __init__(self, kernel: Tensor) -> None:
        super().__init__()
        # Transposed convolutions count kernel rows the other way round and have input channels first.
        spread = functional.avg_pool2d(kernel.flip(2, 3), 2, stride=1, padding=1, divisor_override=1)
        self.kernel = _fixed(spread.transpose(0, 1).contiguous(memory_format=torch.channels_last))

    def forward(self, images: Tensor) -> Tensor:
        return functional.conv_transpose2d(images, self.kernel, stride=2, padding=1)


class _Block(nn.Module):
    """A block of two convolutions, each followed by ReLU."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        first, second = _folded(block)
        self.first = _Convolution(first.weight, first.bias)
        self.second = _Convolution(second.weight, second.bias)

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(self.second(torch.relu(self.first(images))))


class _DecoderBlock(nn.Module):
    """A block of the decoder but for the skip's part of its first convolution, which is given."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        first, second = _folded(block)
        kernel = first.weight[:, first.out_channels :]  # behind the skip's channels, as many as the block gives
        self.up = _UpConvolution(kernel)
        self.second = _Convolution(second.weight, second.bias)

    def forward(self, images: Tensor, skip: Tensor) -> Tensor:
        return torch.relu(self.second(torch.relu(self.up(images) + skip)))


class _Terms(nn.Module):
    """The convolutions of a step: one for the gates and one for the candidate, which is activated in another way.

    In one map of all channels, as training has it, the candidate's tanh took 1.6 to 3.5 times as long.

    Args:
        kernel: (4 F, I, n, n) for the gates i, f, o and the candidate g.
        bias: (4 F), or None.
        forget: with the forget gate f, which a first step does without.
    """

    def __init__(self, kernel: Tensor, bias: Tensor | None, forget: bool = True) -> None:
        super().__init__()
        filters = kernel.shape[0] // 4
        used = [gate * filters + n for gate in ((0, 1, 2) if forget else (0, 2)) for n in range(filters)]
        self.gates = _Convolution(kernel[used], None if bias is None else bias[used])
        self.candidate = _Convolution(kernel[3 * filters :], None if bias is None else bias[3 * filters :])

    def forward(self, images: Tensor) -> Terms:
        return Terms(self.gates(images), self.candidate(images))


class _SharedLSTM(nn.Module):
    """One direction of the first convolutional LSTM, its input's part of each step made once for many slabs."""

    def __init__(self, lstm: ConvLSTM2d) -> None:
        super().__init__()
        kernel, bias, state_kernel = lstm.kernels()
        self.hard = lstm.hard
        self.from_first = _Terms(kernel, bias, forget=False)
        self.from_input = _Terms(kernel, bias)
        self.from_state = _Terms(state_kernel, None)

    def terms(self, image: Tensor, only_first: bool) -> Terms:
        """Return the input's part, of a slice that is in a first step alone or of any."""
        terms: Terms = self.from_first(image) if only_first else self.from_input(image)
        return terms

    def forward(self, terms: Sequence[Terms]) -> list[Tensor]:
        """Return the hidden state after each step."""
        hidden, cell = _step(terms[0], None, self.hard)
        states = [hidden]
        for from_input in terms[1:]:
            from_state: Terms = self.from_state(hidden)
            summed = Terms(from_state.gates + from_input.gates, from_state.candidate + from_input.candidate)
            hidden, cell = _step(summed, cell, self.hard)
            states.append(hidden)
        return states


class _ReadOutLSTM(nn.Module):
    """One direction of the second convolutional LSTM.

    Its inputs belong to one slab and are used once, so input and state go through one convolution: a sum less to make.
    """

    def __init__(self, lstm: ConvLSTM2d) -> None:
        super().__init__()
        kernel, bias, state_kernel = lstm.kernels()
        self.hard = lstm.hard
        self.from_first = _Terms(kernel, bias, forget=False)
        self.from_both = _Terms(torch.cat([kernel, state_kernel], 1), bias)

    def forward(self, images: Sequence[Tensor]) -> Tensor:
        """Return the hidden state after the last step."""
        hidden, cell = _step(self.from_first(images[0]), None, self.hard)
        for image in images[1:]:
            hidden, cell = _step(self.from_both(torch.cat([image, hidden], 1)), cell, self.hard)
        return hidden


def _step(terms: Terms, cell: Tensor | None, hard: bool) -> tuple[Tensor, Tensor]:
    """Return the next hidden and cell state; a first step, without a cell state, has no forget gate."""
    gates = activated(terms.gates, hard).chunk(terms.gates.shape[1] // terms.candidate.shape[1], 1)
    hidden, new, _ = next_state(gates[0], gates[1], gates[-1], torch.tanh(terms.candidate), cell)
    return hidden, new


def _fixed(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.detach(), requires_grad=False)


def _skip_part(block: nn.Module) -> _Convolution:
    """Return the skip's part of the first convolution of a block of the decoder, with the bias."""
    first, _ = _folded(block)
    return _Convolution(first.weight[:, : first.out_channels], first.bias)


def _folded(block: nn.Module) -> list[nn.Conv2d]:
    """Return a block's convolutions, each with the batch normalisation behind it, if any."""
    folded: list[nn.Conv2d] = []
    for layer in block.children():
        if isinstance(layer, nn.Conv2d):
            folded.append(layer)
        elif isinstance(layer, nn.BatchNorm2d):
            folded[-1] = fuse_conv_bn_eval(folded[-1], layer)
    return folded
