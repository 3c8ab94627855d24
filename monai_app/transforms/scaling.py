"""The one fixed affine scaling per detector: the only thing done to pixels before the network."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import torch
from monai.transforms import MapTransform

from monai_app.errors import ConfigError
from monai_app.stack import Stack


class Scaling(TypedDict):
    """Grey value ``mean`` becomes 0 and ``mean + std`` becomes 1."""

    mean: float
    std: float


def measure_scaling(stack: Stack, detectors: Sequence[str], z: Sequence[int]) -> dict[str, Scaling]:
    """Measure mean and standard deviation of each detector's grey values over the slices ``z``, in float64.

    Called once, before training; the numbers are then part of the model, so that a pixel is scaled alike whatever
    slice, tile or stack it stands in.
    """
    scaling = {}
    for detector in detectors:
        moments = np.zeros(3)
        for index in z:
            pixels = stack.read_slab(index, [detector], 1).astype(np.float64)
            moments += (pixels.size, pixels.sum(), np.square(pixels).sum())
        mean = moments[1] / moments[0]
        std = np.sqrt(max(moments[2] / moments[0] - mean**2, 0.0))
        # A constant image would divide by zero; one grey value is the smallest step there is.
        scaling[detector] = Scaling(mean=round(float(mean), 4), std=round(max(float(std), 1.0), 4))
    return scaling


class ScaleDetectorsd(MapTransform):
    """Scale the channels of a slab or of a volume by ``(grey - mean) / std`` of their detector.

    Args:
        keys: keys of slabs (S*C, rows, columns), slice-major, or of volumes (C, X, Y, Z).
        detectors: the names of the C detectors, in channel order.
        scaling: mean and std per detector name, in grey values.

    Raises:
        ConfigError: if a detector has no scaling or a ``std`` is not positive.
    """

    def __init__(self, keys: str | Sequence[str], detectors: Sequence[str], scaling: Mapping[str, Scaling]) -> None:
        super().__init__(keys)
        missing = [name for name in detectors if name not in scaling]
        if missing:
            raise ConfigError(
                f"no scaling for detector {missing[0]!r}: the model needs mean and std of each of its detectors "
                f"({', '.join(detectors)}); add it under 'scaling'"
            )
        self.mean = torch.tensor([scaling[name]["mean"] for name in detectors])
        self.std = torch.tensor([scaling[name]["std"] for name in detectors])
        if not bool((self.std > 0).all()):
            raise ConfigError(f"scaling std {self.std.tolist()}: every std must be positive; give it in grey values")

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of ``data`` with the pixels scaled."""
        item = dict(data)
        for key in self.key_iterator(item):
            pixels = item[key]
            channels, *sides = pixels.shape
            repeated = (values.repeat(channels // len(self.mean)) for values in (self.mean, self.std))
            mean, std = (values.reshape(-1, *(1 for _ in sides)).to(pixels) for values in repeated)
            scaled = pixels - mean
            scaled /= std  # in place: a volume is large
            item[key] = scaled
        return item
