"""Whether an exported network is the one it was made of: both run on the same images."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

from monai_app.errors import ConfigError
from monai_app.export.formats import Format

SIZES = ((1, 192, 320), (2, 320, 192), (3, 160, 256))
"""Batch, rows and columns that are tried, the sides rounded up to strides."""

ALLOWED: dict[Format, float] = {"torchscript": 0.0, "torch-export": 0.0, "onnx": 1e-5}
"""Share of the pixels whose label may be another: other libraries add in another order, and ties fall either way."""

_LEVELS, _SPREADS = (0.0, -1.0, 1.0), (1.0, 2.5)
"""Brightness and contrast of the images, in the scaling's standard deviations: those that show most phases are used."""


@dataclass(frozen=True)
class Parity:
    """What became of images of one size.

    Attributes:
        batch: images at a time.
        rows: of an image.
        columns: of an image.
        phases: number of phases that the labels show.
        max_difference: greatest difference of two logits.
        differing: pixels whose labels differ.
    """

    batch: int
    rows: int
    columns: int
    phases: int
    max_difference: float
    differing: int

    @property
    def pixels(self) -> int:
        """Number of pixels compared."""
        return self.batch * self.rows * self.columns


def compare(network: nn.Module, exported: nn.Module, channels: int, stride: int) -> list[Parity]:
    """Run a network and its exported form on seeded images of three sizes.

    Args:
        network: the original, in evaluation mode.
        exported: what it became.
        channels: S*C, of the images (B, S*C, H, W) that both take.
        stride: what H and W are multiples of.
    """
    sizes = [(batch, *(-(-side // stride) * stride for side in sides)) for batch, *sides in SIZES]
    with torch.no_grad():
        level, spread = _most_phases(network, channels, stride)
        return [_compared(network, exported, _images(size, channels, level, spread)) for size in sizes]


def check(parities: Sequence[Parity], kind: Format) -> None:
    """Check that few enough labels differ.

    Raises:
        ConfigError: too many do.
    """
    differing, pixels = sum(p.differing for p in parities), sum(p.pixels for p in parities)
    worst = max(p.max_difference for p in parities)
    if differing > ALLOWED[kind] * pixels or not worst < float("inf"):
        raise ConfigError(
            f"the {kind} file would not be the model: {differing} of {pixels} labels differ, the logits by up to "
            f"{worst:.1e}, where at most {ALLOWED[kind]:g} of the labels may; nothing was written: use another --format"
        )


def _compared(network: nn.Module, exported: nn.Module, images: Tensor) -> Parity:
    expected, given = network(images), exported(images)
    labels = expected.argmax(1)
    batch, _, rows, columns = images.shape
    return Parity(
        batch,
        rows,
        columns,
        phases=len(labels.unique()),
        max_difference=(given - expected).abs().max().item(),
        differing=int((given.argmax(1) != labels).sum()),
    )


def _most_phases(network: nn.Module, channels: int, stride: int) -> tuple[float, float]:
    size = (1, *(-(-96 // stride) * stride,) * 2)

    def phases(choice: tuple[float, float]) -> int:
        return len(network(_images(size, channels, *choice)).argmax(1).unique())

    return max(product(_LEVELS, _SPREADS), key=phases)


def _images(size: Sequence[int], channels: int, level: float, spread: float) -> Tensor:
    """Blobs of several sizes under noise, (B, channels, rows, columns); the same for the same arguments."""
    batch, rows, columns = size
    random = torch.Generator().manual_seed(rows * columns)
    images = 0.3 * torch.randn((batch, channels, rows, columns), generator=random)
    for grain in (8, 32):
        coarse = torch.randn((batch, channels, rows // grain + 2, columns // grain + 2), generator=random)
        images += functional.interpolate(coarse, size=(rows, columns), mode="bilinear", align_corners=False)
    return level + spread * images
