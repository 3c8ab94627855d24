"""A trained network with its specification and weights."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from monai_app.device.precision import Precision, checked_dtype
from monai_app.domain.calibration import Calibration
from monai_app.domain.model_spec import ModelSpec
from monai_app.networks.calibration import read_calibration
from monai_app.networks.weights import Weights, check_fit, read_weights
from monai_app.origin import Origin


@dataclass(frozen=True)
class Model:
    """A trained network with its specification and weights.

    Attributes:
        spec: its input and output.
        network: maps slabs (B, S*C, H, W) to logits (B, K, H, W).
        weights: file of its weights, a state dict.
    """

    spec: ModelSpec
    network: nn.Module
    weights: str

    def described_by(self, spec: ModelSpec) -> Self:
        """Return the model with another specification of the same network, or itself if nothing differs."""
        return self if spec is self.spec else replace(self, spec=spec)

    def load(self) -> None:
        """Load the weights into the network and set it to evaluation mode.

        Their file is read once; later calls load the same weights.

        Raises:
            ConfigError: there are no weights, or they are not this network's.
        """
        network = self.network.float()  # an earlier run may have left it in bfloat16
        check_fit(network, self._read.state, self.weights)
        network.load_state_dict(self._read.state, strict=True)
        network.eval()

    @cached_property
    def _read(self) -> Weights:
        return read_weights(self.weights)

    @property
    def origin(self) -> Origin:
        """The file of weights as it was read."""
        return self._read.origin

    @property
    def sha256(self) -> str:
        """SHA-256 of the file of weights as it was read."""
        return self.origin.sha256

    @cached_property
    def calibration(self) -> Calibration | None:
        """The calibration of its probabilities; None if it was not calibrated."""
        return read_calibration(Path(self.weights), self.sha256)

    @property
    def temperature(self) -> float:
        """The divisor of the logits before they become probabilities; 1 if they are not calibrated."""
        return 1.0 if self.calibration is None else self.calibration.temperature

    @property
    def name(self) -> str:
        """The run folder's name, for display."""
        return Path(self.weights).absolute().parents[1].name

    @property
    def keeps_nan(self) -> bool:
        """Whether NaN in the input propagates to every dependent logit, with which receptive fields are measured."""
        return True

    @property
    def memory_factor(self) -> float:
        """Memory that the network's runtime holds at its peak, over that of the values counted in torch."""
        return 1.0

    def check_precision(self, precision: Precision, device: torch.device) -> None:
        """Check that the network can compute in a precision on a device.

        Raises:
            ConfigError: it cannot.
        """
        checked_dtype(precision, device)

    def describe(self) -> dict[str, Any]:
        """Return everything that determines the model's labels, as JSON values."""
        spec = self.spec
        return {
            "weights_sha256": self.sha256,
            "network": spec.network,
            "settings": spec.settings,
            "detectors": list(spec.detectors),
            "slices": spec.slices,
            "scaling": {name: stats.model_dump() for name, stats in spec.scaling.items()},
        }
