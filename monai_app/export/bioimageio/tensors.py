"""The test tensors of a bioimage.io model: pixels of a stack, and what the network of the run folder makes of them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from monai.transforms import NormalizeIntensity
from torch import Tensor, nn

from monai_app.domain.model_spec import ModelSpec
from monai_app.domain.region import Rect, Span
from monai_app.inference import Model
from monai_app.stack import Stack

_SIDE = 256
"""Rows and columns of the test tensors, where the model allows as few."""


class Probabilities(nn.Module):
    """A network whose output are the probabilities of the phases; programs know them better than logits.

    Args:
        network: gives logits.
        temperature: that they are divided by.
    """

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature

    def forward(self, image: Tensor) -> Tensor:
        """Return the probabilities (B, K, H, W) of scaled images (B, S*C, H, W)."""
        logits: Tensor = self.network(image)
        return (logits / self.temperature).softmax(1)


@dataclass(frozen=True)
class Sides:
    """Which rows and columns a model takes: ``least + n * step``, of which it gives right all but the halo.

    Args:
        step: the network's stride.
        halo: pixels at each side whose output depends on what lies beyond.
    """

    step: int
    halo: int

    @property
    def least(self) -> int:
        """The fewest rows or columns of which something is left without the halo."""
        return 2 * self.halo + self.step

    @property
    def tested(self) -> int:
        """Rows and columns of the test tensors."""
        return self.least + max(0, -(-(_SIDE - self.least) // self.step)) * self.step


def make_test_tensors(
    model: Model, stack: Stack, sides: Sides
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.float32]]:
    """Make the test tensors, of the stack's `example_slice`.

    Args:
        model: with its weights loaded, on the CPU.
        stack: whose pixels are taken, from the middle of the slice; one that is smaller is mirrored at its edges.
        sides: rows and columns that the model takes.

    Returns:
        Raw pixels (1, S*C, H, W), and the probabilities (1, K, H, W) of one plain forward pass.

    Raises:
        ConfigError: the stack lacks a detector.
        StackError: its pixels are of another type.
    """
    spec = model.spec
    spec.check_stack(stack)
    z = stack.example_slice
    rect = Rect(*(_middle(length, sides.tested) for length in stack.shape[1:]))
    slab = stack.read_slab(z, spec.detectors, spec.slices, rect)
    missing = [sides.tested - length for length in rect.shape]
    slab = np.pad(slab, [(0, 0), *((0, length) for length in missing)], mode="symmetric")
    return slab[None], _probabilities(model, spec, slab)


def _middle(length: int, wanted: int) -> Span:
    start = max(0, (length - wanted) // 2)
    return Span(start, min(length, start + wanted))


def _probabilities(model: Model, spec: ModelSpec, slab: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
    scaled = NormalizeIntensity(spec.channel_mean, spec.channel_std, channel_wise=True)(slab)
    with torch.no_grad():
        output: Tensor = Probabilities(model.network, model.temperature)(torch.as_tensor(scaled)[None])
    array: npt.NDArray[np.float32] = output.numpy()
    return array
