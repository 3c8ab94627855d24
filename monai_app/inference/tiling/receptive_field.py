"""Measuring the receptive field of a network: the distance up to which a pixel affects the logits.

Lines of an image are made NaN, and the lines of the logits that become NaN are looked at. NaN passes through
convolutions, pooling, activations and products whatever the weights are. Gradients and differences vanish where a
weight is zero, a ReLU is dead or a gate is saturated, and round to zero where a path is weak.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from monai_app.errors import ConfigError
from monai_app.inference.model import Model

LONGEST = 1024
"""Length in pixels of the longest image that is tried; 64 strides where that is more."""

NARROWEST = 8
"""Least width of the images in pixels; one stride where that is more."""

BATCH = 8
"""Images at a time. Few, for memory and because larger batches may be convolved by Winograd's transformation, which
spreads NaN beyond the kernel."""

DIFFERENCE = 2e-5
"""Most that the logits of a part may differ from the whole's, in standard deviations; float32's rounding made
up to 4e-6, aligned corners 2e-4 and more."""


@dataclass(frozen=True)
class Field:
    """What of an image a network's logits depend on.

    Attributes:
        stride: pixels by which an image can be shifted so that its logits are merely shifted too.
        halo: pixels to read around a core that begins and ends at multiples of the stride, so that its logits are those
            of the whole slice; itself a multiple of the stride.
        reach: the most pixels from a pixel to a logit that depends on it.
    """

    stride: int
    halo: int
    reach: int


def measure_field(network: nn.Module, channels: int, stride: int) -> Field:
    """Measure the receptive field of a network in evaluation mode, the larger one of rows and columns.

    Args:
        network: takes images (B, channels, H, W) and gives logits (B, K, H, W). It is left in the modes it was in.
        channels: S*C, slices in the slab times detectors.
        stride: the network's, in pixels: 2**(levels - 1).

    Returns:
        The field; a U-Net of 3 levels with two 3 x 3 convolutions per block has stride 4 and halo 24.

    Raises:
        ConfigError: the network does not take such images, its weights are not finite, its logits depend on everything
            in the image or on its size, or what they depend on does not repeat with the stride.
    """
    if stride < 1:
        raise ConfigError(f"stride {stride}: must be 1 or more; give 2**(levels - 1)")
    # Without cuDNN, whose transformations (Winograd, Fourier) spread NaN beyond the kernel.
    with _evaluating(network), torch.no_grad(), torch.backends.cudnn.flags(enabled=False):
        phases = [phase for axis in (2, 3) for phase in _measure_phases(_Probe(network, channels, stride, axis))]
        # The lines nearest to a core from outside are the last of a stride before it and the first of one behind it.
        halo = max(max(phase.before - phase.number, phase.after - (stride - 1 - phase.number)) for phase in phases)
        halo = _up(max(halo, 0), stride)
        for axis in (2, 3):
            _check_part(_Probe(network, channels, stride, axis), halo)
    reach = max(max(abs(phase.before), abs(phase.after)) for phase in phases)
    return Field(stride, halo, reach)


def measure_halo(model: Model) -> int:
    """Return the pixels to read around a core, so that its logits are those of the whole slice.

    It is measured, or, where the network's runtime need not keep NaN, that of the model's export. That is only checked
    by the logits of a part read with it, which is weaker: a change that rounding hides passes.

    Raises:
        ConfigError: see `measure_field`; the export did not say a halo, or a tile with it gives other logits.
    """
    network, channels, stride, halo = model.network, len(model.spec.channel_name), model.spec.stride, model.spec.halo
    if model.keeps_nan:
        return measure_field(network, channels, stride).halo
    if halo is None:
        raise ConfigError(f"{model.weights} has no halo in its metadata; write it again with `monai-app export RUN`")
    with torch.no_grad():
        for axis in (2, 3):
            _check_part(_Probe(network, channels, stride, axis), halo)
    return halo


@dataclass(frozen=True)
class _Phase:
    """How far away the first and the last line of logits are that depend on one of the lines of a stride."""

    number: int
    before: int
    after: int


@dataclass(frozen=True)
class _Probe:
    """Looks at what lines of logits depend on, along the rows (axis 2) or the columns (axis 3)."""

    network: nn.Module
    channels: int
    stride: int
    axis: int

    def reached(self, length: int, probes: Sequence[range]) -> Tensor:
        """Return (len(probes), length), true where a line of logits depends on these lines of an image."""
        parts = [self._reached(length, probes[start : start + BATCH]) for start in range(0, len(probes), BATCH)]
        return torch.cat(parts)

    def _reached(self, length: int, probes: Sequence[range]) -> Tensor:
        width = max(NARROWEST // self.stride, 1) * self.stride
        sides = (length, width) if self.axis == 2 else (width, length)
        weight = next(self.network.parameters(), torch.empty(0))
        shape = (len(probes), self.channels, *sides)
        images = torch.zeros(shape, dtype=weight.dtype, device=weight.device)
        for image, lines in zip(images, probes, strict=True):
            image.narrow(self.axis - 1, lines.start, len(lines)).fill_(torch.nan)
        return self.logits(images).isnan().any(1).any(4 - self.axis).cpu()

    def logits(self, images: Tensor) -> Tensor:
        """Return the network's logits, (B, K, H, W) of the images' size."""
        _, _, rows, columns = images.shape
        name = f"an image of {self.channels} channels and {rows} x {columns} pixels"
        try:
            logits: Tensor = self.network(images)
        except (ValueError, RuntimeError) as error:
            raise ConfigError(
                f"stride {self.stride}: the network does not take {name} ({error}); give the channels and the stride "
                "it was built for"
            ) from error
        if logits.ndim != 4 or logits.shape[2:] != images.shape[2:]:
            raise ConfigError(
                f"stride {self.stride}: the network gives {tuple(logits.shape)} for {name}; it must return logits (B, "
                "K, H, W) of the same H and W; give its own stride, or correct the network"
            )
        return logits


def _check_part(probe: _Probe, halo: int) -> None:
    """Check that a part of an image gives the logits of the whole, which NaN cannot tell: the values may be others.

    Up-sampling with aligned corners, for instance, takes other weights in images of other sizes.
    """
    core = 2 * probe.stride
    sides = [core + 2 * halo, max(NARROWEST, 2 * probe.stride)]
    shape = sides if probe.axis == 2 else sides[::-1]
    weight = next(probe.network.parameters(), torch.empty(0))
    random = torch.Generator().manual_seed(0)
    image = torch.randn((1, probe.channels, *shape), generator=random).to(weight)
    whole = probe.logits(image).narrow(probe.axis, 0, core)
    part = probe.logits(image.narrow(probe.axis, 0, core + halo)).narrow(probe.axis, 0, core)
    spread = whole.std().item() or 1.0
    difference = (whole - part).abs().max().item() / spread
    if difference > DIFFERENCE:
        raise ConfigError(
            "the network's logits depend on the size of the image: those of a part differ from those of the complete "
            f"image by {difference:.1e} of their spread. Tiles would be inexact; use up-sampling without "
            "align_corners, and no operation that depends on the size"
        )


def _measure_phases(probe: _Probe) -> list[_Phase]:
    """Return the reach of every line of a stride, the first of which lies at a multiple of the stride."""
    stride = probe.stride
    half = _up(_survey(probe) + 1, stride)
    lines = range(half, half + stride + 1)
    reached = probe.reached(2 * half + 2 * stride, [range(line, line + 1) for line in lines])
    phases = [_phase(number, row, line) for number, (row, line) in enumerate(zip(reached, lines, strict=True))]
    repeated = phases.pop()
    if reached[:, [0, -1]].any() or (repeated.before, repeated.after) != (phases[0].before, phases[0].after):
        raise ConfigError(
            f"stride {stride}: what the network's logits depend on does not repeat every {stride} "
            f"{('rows', 'columns')[probe.axis - 2]}; give the network's stride, 2**(levels - 1)"
        )
    return phases


def _survey(probe: _Probe) -> int:
    """Return how far from a whole stride of lines there are logits that depend on it.

    The image is long, because in a short one a dilated kernel's lines may all lie outside.
    """
    stride = probe.stride
    length = _up(max(LONGEST, 64 * stride), stride)
    first = length // 2 // stride * stride
    plain, reached = probe.reached(length, [range(0), range(first, first + stride)])
    if plain.any():
        raise ConfigError(
            "the network's logits of an image of zeros are not finite; its weights are unusable, train again"
        )
    if reached[[0, -1]].any():
        raise ConfigError(
            f"the network's output depends on everything in the image: a pixel reaches {first} pixels and more. "
            "Image-wide statistics such as instance normalisation make tiles inexact; use batch norm or none"
        )
    if not reached.any():
        raise ConfigError("no pixel of the image affects the network's logits; check the network")
    whole = _phase(0, reached, first)
    return max(whole.before, whole.after - (stride - 1), 0)


def _phase(number: int, reached: Tensor, line: int) -> _Phase:
    indices = reached.nonzero().flatten().tolist()
    # A line that nothing depends on, as strided convolutions leave some, is as harmless as one seen in place only.
    return _Phase(number, line - indices[0], indices[-1] - line) if indices else _Phase(number, 0, 0)


def _up(value: int, stride: int) -> int:
    """Return the next multiple of the stride."""
    return -(-value // stride) * stride


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Put the network into evaluation mode; every module gets its own mode back."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
