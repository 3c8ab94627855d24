"""A trained network and everything that belongs to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from monai_app.device.precision import Precision, checked_dtype
from monai_app.domain.region import Rect
from monai_app.errors import StackError
from monai_app.files import file_sha256
from monai_app.inference.tiling.activations import count_maps
from monai_app.inference.tiling.receptive_field import measure_field
from monai_app.networks.weights import load_weights
from monai_app.stack import Phase, SlabSource
from monai_app.transforms import Scaling


@dataclass(frozen=True)
class Model:
    """A trained network and everything that belongs to it.

    Attributes:
        network: takes slabs (B, S*C, H, W), gives logits (B, K, H, W).
        weights: file of its weights, a state dict.
        detectors: names of the C detectors, in channel order.
        slices: odd number S of consecutive slices in a slab.
        stride: the network's, in pixels.
        scaling: mean and std per detector, in grey values.
        dtype: type of the pixels that the scaling was measured on.
        phases: the K phases.
        settings: what else decides the network's function, for instance the head (JSON values).
    """

    network: nn.Module
    weights: str
    detectors: Sequence[str]
    slices: int
    stride: int
    scaling: Mapping[str, Scaling]
    dtype: str
    phases: Sequence[Phase]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> None:
        """Load the weights into the network and put it into evaluation mode.

        Raises:
            ConfigError: there are no weights, or they are not this network's.
        """
        load_weights(self.network.float(), self.weights)  # an earlier run may have left it in bfloat16
        self.network.eval()

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file of weights."""
        return file_sha256(Path(self.weights))

    @property
    def name(self) -> str:
        """The run folder's name, for people."""
        return Path(self.weights).absolute().parents[1].name

    def check_precision(self, precision: Precision, device: torch.device) -> None:
        """Check that the network can compute in a precision on a device.

        Raises:
            ConfigError: it cannot.
        """
        checked_dtype(precision, device)

    def measure_halo(self) -> int:
        """Return the pixels to read around a core, so that its logits are those of the whole slice.

        Raises:
            ConfigError: see `measure_field`.
        """
        return measure_field(self.network, len(self.detectors) * self.slices, self.stride).halo

    def count_maps(self) -> int:
        """Return the values per pixel that the network holds at its peak where it runs on whole tiles."""
        return count_maps(self.network, len(self.detectors) * self.slices, self.stride)

    def check_stack(self, stack: SlabSource) -> None:
        """Check that the model can be applied to a stack.

        Raises:
            ConfigError: the stack lacks a detector.
            StackError: its pixels are of another type.
        """
        stack.read_slab(0, self.detectors, self.slices, Rect.whole((1, 1)))
        if stack.dtype != self.dtype:
            raise StackError(
                f"the pixels of {stack.path} are {stack.dtype}, the model was trained on {self.dtype}: the same grey "
                "would have another value; convert the images, or train on this stack"
            )

    def describe(self) -> dict[str, Any]:
        """Return what decides the model's labels, as JSON knows it."""
        return {
            "weights_sha256": self.sha256,
            "network": type(self.network).__name__,
            "settings": dict(self.settings),
            "detectors": list(self.detectors),
            "slices": self.slices,
            "scaling": {name: dict(self.scaling[name]) for name in self.detectors},
        }
