"""Networks as functions of single slices with several targets, so that what targets share is computed once.

Slabs of consecutive targets overlap::

    images    0   1   2   3   4        T + S - 1 of them (here T = 3 targets, slabs of S = 3 slices)
    target 0  [---m---]                m: the middle slice, whose phases are wanted
    target 1      [---m---]
    target 2          [---m---]

What is made from one slice alone is made once for all slabs it is in. Every operation takes a row of its result from a
few rows of its arguments and none asks for the size of an image, so that a trace runs on stripes of rows as well.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from monai_app.domain.slab import Slab
from monai_app.errors import ConfigError
from monai_app.networks import ConvLSTM2d, Sensor3D
from monai_app.networks.cell import activated, activated_


class SequenceNetwork(nn.Module):
    """A network of slabs, as a function of consecutive slices; base of those that :func:`as_sequence` makes.

    Args:
        network: the network of slabs, in evaluation mode.
        slices: slices S in the slab, odd.
        targets: consecutive targets T of a call.

    Raises:
        ConfigError: a number out of range, or a network in training mode.
    """

    def __init__(self, network: nn.Module, slices: int, targets: int) -> None:
        super().__init__()
        Slab(slices)
        if targets < 1:
            raise ConfigError(f"targets {targets}: must be 1 or more")
        if any(module.training for module in network.modules()):
            raise ConfigError(
                "a network in training mode: segmenting needs its evaluation mode; call eval() on it first"
            )
        self.slices, self.targets = slices, targets
        self.eval()

    def forward(self, *images: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of every target.

        Args:
            images: T + S - 1 consecutive slices (1, C, H, W), the end slice of a stack repeated where a slab reaches
                beyond it; H and W are multiples of the network's stride.

        Returns:
            T tensors (1, K, H, W); target t is the slice ``images[t + S // 2]``.

        Raises:
            ValueError: another number of images.
        """
        raise NotImplementedError

    def _check(self, images: Sequence[Tensor]) -> None:
        needed = self.targets + self.slices - 1
        if len(images) != needed:
            raise ValueError(
                f"{len(images)} images: {self.targets} targets with slabs of {self.slices} slices take {needed}; "
                "repeat the end slice where a slab reaches beyond the stack"
            )


class SlabSequence(SequenceNetwork):
    """Any network of slabs, called once a target: it may mix the slices at once, so nothing is shared.

    Args and errors are those of :class:`SequenceNetwork`; the network takes (1, S*C, H, W), slice-major.
    """

    def __init__(self, network: nn.Module, slices: int, targets: int) -> None:
        super().__init__(network, slices, targets)
        self.network = network

    def forward(self, *images: Tensor) -> tuple[Tensor, ...]:
        """See :meth:`SequenceNetwork.forward`."""
        self._check(images)
        slabs = [images[target : target + self.slices] for target in range(self.targets)]
        return tuple(self.network(torch.cat(slab, 1)) for slab in slabs)


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

    Args:
        network: Sensor-3D in evaluation mode.
        targets: consecutive targets T of a call.
        fused_up: make up-sampling and the convolution behind it one transposed convolution (kernel 4, stride 2,
            padding 1); otherwise both are run as they are.

    Raises:
        ConfigError: see :class:`SequenceNetwork`.
    """

    def __init__(self, network: Sensor3D, targets: int, fused_up: bool = True) -> None:
        super().__init__(network, network.slices, targets)
        self.reach = self.slices if network.head == "final" else self.slices // 2 + 1  # steps of the second LSTM
        self.concat = network.join.concat
        self.encoder = nn.ModuleList(_Block(block) for block in [*network.encoder, network.bottleneck])
        self.join_ahead, self.join_back = _SharedLSTM(network.join.ahead), _SharedLSTM(network.join.back)
        self.skips = nn.ModuleList(_skip_part(block) for block in network.decoder)
        self.decoder = nn.ModuleList(_DecoderBlock(block, fused_up) for block in network.decoder)
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


def as_sequence(network: nn.Module, slices: int, targets: int, fused_up: bool = True) -> SequenceNetwork:
    """Make a network of slabs a function of single slices with several targets, saving what can be saved.

    Args:
        network: takes (1, S*C, H, W), slice-major, and gives logits (1, K, H, W) of the middle slice; in evaluation
            mode, with the weights to be used.
        slices: slices S in the slab, odd.
        targets: consecutive targets T of a call.
        fused_up: see :class:`Sensor3DSequence`; nothing to other networks.

    Returns:
        :class:`Sensor3DSequence` of Sensor-3D, :class:`SlabSequence` of any other network.

    Raises:
        ConfigError: a number out of range or unlike the network's, or a network in training mode.
    """
    if not isinstance(network, Sensor3D):
        return SlabSequence(network, slices, targets)
    if slices != network.slices:
        raise ConfigError(f"slices {slices}: this network was made for slabs of {network.slices}; give that number")
    return Sensor3DSequence(network, targets, fused_up)


def shares_work(network: nn.Module) -> bool:
    """Whether several targets of one call cost less than as many calls."""
    return isinstance(network, Sensor3D)


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
        images = self.second(self.first(images).relu_())
        return images.relu_()


class _DecoderBlock(nn.Module):
    """A block of the decoder but for the skip's part of its first convolution, which is given."""

    def __init__(self, block: nn.Module, fused_up: bool) -> None:
        super().__init__()
        first, second = _folded(block)
        kernel = first.weight[:, first.out_channels :]  # behind the skip's channels, as many as the block gives
        if fused_up:
            self.up: nn.Module = _UpConvolution(kernel)
        else:
            self.up = nn.Sequential(nn.Upsample(scale_factor=2.0), _Convolution(kernel, None))
        self.second = _Convolution(second.weight, second.bias)

    def forward(self, images: Tensor, skip: Tensor) -> Tensor:
        images = self.second(self.up(images).add_(skip).relu_())
        return images.relu_()


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
        kernel, bias, state_kernel = lstm._kernels()
        self.hard = lstm.hard
        self.from_first = _Terms(kernel, bias, forget=False)
        self.from_input = _Terms(kernel, bias)
        self.from_state = _Terms(state_kernel, None)

    def terms(self, image: Tensor, only_first: bool) -> Terms:
        """Return the input's part, of a slice that is in a first step alone or of any."""
        terms: Terms = self.from_first(image) if only_first else self.from_input(image)
        return terms

    def forward(self, terms: Sequence[Terms]) -> list[Tensor]:
        """Return the hidden state after each step; the terms are left as they are."""
        hidden, cell = _first(terms[0], self.hard)
        states = [hidden]
        for from_input in terms[1:]:
            from_state: Terms = self.from_state(hidden)
            summed = Terms(from_state.gates.add_(from_input.gates), from_state.candidate.add_(from_input.candidate))
            hidden, cell = _next(summed, cell, self.hard)
            states.append(hidden)
        return states


class _ReadOutLSTM(nn.Module):
    """One direction of the second convolutional LSTM.

    Its inputs belong to one slab and are used once, so input and state go through one convolution: a sum less to make.
    """

    def __init__(self, lstm: ConvLSTM2d) -> None:
        super().__init__()
        kernel, bias, state_kernel = lstm._kernels()
        self.hard = lstm.hard
        self.from_first = _Terms(kernel, bias, forget=False)
        self.from_both = _Terms(torch.cat([kernel, state_kernel], 1), bias)

    def forward(self, images: Sequence[Tensor]) -> Tensor:
        """Return the hidden state after the last step."""
        hidden, cell = _first(self.from_first(images[0]), self.hard)
        for image in images[1:]:
            hidden, cell = _next(self.from_both(torch.cat([image, hidden], 1)), cell, self.hard)
        return hidden


def _first(terms: Terms, hard: bool) -> tuple[Tensor, Tensor]:
    """Return hidden and cell state after a first step; the terms may be others' too and are left as they are."""
    filters, gates = terms.candidate.shape[1], terms.gates.shape[1]
    i = activated(terms.gates.narrow(1, 0, filters), hard)
    o = activated(terms.gates.narrow(1, gates - filters, filters), hard)
    cell = i.mul_(torch.tanh(terms.candidate))
    return o.mul_(torch.tanh(cell)), cell


def _next(terms: Terms, cell: Tensor, hard: bool) -> tuple[Tensor, Tensor]:
    """Return the next hidden and cell state; the terms are changed, the cell state is not."""
    i, f, o = activated_(terms.gates, hard).chunk(3, 1)
    new = (i * terms.candidate.tanh_()).addcmul_(f, cell)
    return o * torch.tanh(new), new


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
