"""Sensor-3D: a U-Net run slice by slice and joined by bidirectional convolutional LSTMs."""

from typing import Final

import torch
from torch import Tensor, nn

from monai_app.domain.slab import Slab
from monai_app.errors import ConfigError
from monai_app.networks.convlstm import BidirectionalConvLSTM2d, check_choice
from monai_app.networks.sensor3d_sequence import Sensor3DSequence

HEADS = ("final", "middle", "all")
NORMS = ("none", "batch")


class Sensor3D(nn.Module):
    """Sensor-3D after Novikov et al., IEEE Trans. Med. Imaging 38(5):1207-1215, 2019, doi 10.1109/TMI.2018.2881678.

    Every convolution, pooling and up-sampling sees one slice at a time with shared weights (time-distributed). Two
    bidirectional convolutional LSTMs join the slices: one at the coarsest level, which gives a state per slice, and one
    after the last block, whose states feed the 1 x 1 convolution that classifies the middle slice::

        slab -> (2 conv, pool) per level -> 2 conv -> ConvLSTM -> (up, skip, 2 conv) per level -> ConvLSTM -> head

    The paper states the kinds of layers; their order and numbers are a reconstruction (docs/explanation/sensor3d.md
    says which choice is verified and which is not).

    Args:
        detectors: number of detectors C.
        phases: number of phases K.
        slices: slices S in the slab, odd.
        levels: resolution levels, the coarsest included; the network's stride is 2**(levels - 1).
        filters: channels at full resolution; they double at each level.
        head: ``"final"``: last states of both directions, which have seen the whole slab (the reconstruction's
            choice); ``"middle"``: states at the middle slice; ``"all"``: the same, and in training mode the logits of
            every slice, to be supervised together.
        merge: ``"sum"`` or ``"concat"`` of the two directions.
        gate_activation: ``"hard_sigmoid"`` as in Keras 2, or ``"sigmoid"``.
        norm: ``"none"`` or ``"batch"``, before each ReLU.
        dropout: probability of dropping a value after each convolution of the blocks, in training mode. It has no
            weights: a network trained without takes it, for instance to score how sure it is.

    Raises:
        ConfigError: an argument that is unknown or out of range.
    """

    slices: Final[int]
    detectors: Final[int]
    stride: Final[int]
    head: Final[str]

    def __init__(
        self,
        detectors: int,
        phases: int,
        slices: int = 3,
        levels: int = 3,
        filters: int = 64,
        head: str = "final",
        merge: str = "sum",
        gate_activation: str = "hard_sigmoid",
        norm: str = "none",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_choice("head", head, HEADS)
        check_choice("norm", norm, NORMS)
        _check_numbers(detectors=detectors, phases=phases, levels=levels, filters=filters, slices=slices)
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout {dropout}: must be a probability from 0 to below 1")
        self.slices, self.detectors, self.head = slices, detectors, head
        self.stride = 2 ** (levels - 1)
        widths = [filters * 2**level for level in range(levels)]
        self.encoder = nn.ModuleList()
        for before, width in zip([detectors, *widths], widths[:-1], strict=False):
            self.encoder.append(_block(before, width, norm, dropout))
        self.pool = nn.MaxPool2d(2)
        self.bottleneck = _block(widths[-2], widths[-1], norm, dropout)
        self.join = BidirectionalConvLSTM2d(widths[-1], widths[-1], gate_activation, merge)
        self.up = nn.Upsample(scale_factor=2.0, mode="nearest")
        self.decoder = nn.ModuleList()
        below = self.join.out_channels
        for width in reversed(widths[:-1]):
            self.decoder.append(_block(below + width, width, norm, dropout))
            below = width
        self.read_out = BidirectionalConvLSTM2d(widths[0], widths[0], gate_activation, merge)
        self.classify = nn.Conv2d(self.read_out.out_channels, phases, 1)
        nn.init.xavier_uniform_(self.classify.weight)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits of the middle slice.

        Args:
            image: (B, S*C, H, W), slice-major; H and W are multiples of the stride.

        Returns:
            (B, K, H, W); with head ``"all"`` in training mode (B, K, S, H, W).

        Raises:
            ValueError: a size or number of channels that does not fit.
        """
        self._check(image)
        skips = self._encode(self._by_slice(image))
        sequence = torch.unflatten(self._decode(skips), 0, (self.slices, -1))
        if self.head == "all" and self.training:
            states = self.read_out(sequence).flatten(0, 1)
            return torch.unflatten(self.classify(states), 0, (self.slices, -1)).permute(1, 2, 0, 3, 4)
        final = self.head == "final"
        states = self.read_out.final(sequence) if final else self.read_out.at(sequence, self.slices // 2)
        logits: Tensor = self.classify(states)
        return logits

    def sequence(self, targets: int) -> Sensor3DSequence:
        """Return the network as a function of single slices; see :class:`monai_app.networks.protocol.SharesWork`."""
        return Sensor3DSequence(self, targets)

    def _by_slice(self, image: Tensor) -> Tensor:
        """Make every slice a separate image: (B, S*C, H, W) to (S*B, C, H, W)."""
        return torch.unflatten(image, 1, (self.slices, self.detectors)).transpose(0, 1).flatten(0, 1)

    def _encode(self, images: Tensor) -> list[Tensor]:
        """Return the features of each level, finest first: (S*B, C, H, W) to (S*B, filters * 2**level, ...)."""
        features: list[Tensor] = []
        for block in self.encoder:
            images = block(images)
            features.append(images)
            images = self.pool(images)
        features.append(self.bottleneck(images))
        return features

    def _decode(self, features: list[Tensor]) -> Tensor:
        """Join the slices at the coarsest level and return features at full resolution, (S*B, filters, H, W)."""
        images: Tensor = self.join(torch.unflatten(features[-1], 0, (self.slices, -1))).flatten(0, 1)
        for index, block in enumerate(self.decoder):
            skip = features[len(features) - 2 - index]
            images = block(torch.cat([skip, self.up(images)], 1))
        return images

    def _check(self, image: Tensor) -> None:
        channels = self.slices * self.detectors
        if image.shape[1] != channels:
            raise ValueError(
                f"{image.shape[1]} channels: {self.slices} slices of {self.detectors} detectors make {channels}; "
                "give (B, S*C, H, W), slice-major"
            )
        for side in image.shape[2:]:
            below = side // self.stride * self.stride
            if side != below:
                raise ValueError(
                    f"side of {side} pixels: must be a multiple of {self.stride}; the sizes around it are "
                    f"{below} and {below + self.stride}"
                )


def _block(in_channels: int, out_channels: int, norm: str, dropout: float) -> nn.Sequential:
    """Two 3 x 3 convolutions, each followed by ReLU (and before it normalisation and dropout, where wanted)."""
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        convolution = nn.Conv2d(channels, out_channels, 3, padding=1, bias=norm == "none")
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)
        layers.append(convolution)
        if norm == "batch":
            layers.append(nn.BatchNorm2d(out_channels))
        layers.append(nn.Dropout(dropout))  # there at 0 too: leaving it out would rename the weights after it
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def _check_numbers(**values: int) -> None:
    for name, value in values.items():
        least = 2 if name == "levels" else 1
        if value < least:
            raise ConfigError(f"{name} {value}: must be {least} or more")
    Slab(values["slices"])
