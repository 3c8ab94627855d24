"""The fixed affine scaling per detector, which is the only preprocessing of pixels."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.transforms import MapTransform, NormalizeIntensity

from monai_app.domain.model_spec import ModelSpec
from monai_app.domain.training_stack import ChannelStats
from monai_app.stack import Stack


class ScaleSlabd(MapTransform):
    """Scale slabs that :class:`~monai_app.transforms.LoadSlabd` read, as the model does: (grey - mean) / std.

    Args:
        keys: keys of slabs (S*C, rows, columns).
        spec: of the model, with one scaling, or one of each training stack.
    """

    def __init__(self, keys: str | Sequence[str], spec: ModelSpec) -> None:
        super().__init__(keys)
        self.spec = spec
        self._known: dict[str, NormalizeIntensity] = {}

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of ``data`` with the slabs scaled."""
        item = dict(data)
        for key in self.key_iterator(item):
            item[key] = self._of(item[key].meta["ingested"])(item[key])
        return item

    def _of(self, ingested: str) -> NormalizeIntensity:
        if ingested not in self._known:
            spec = self.spec.of_stack(ingested)
            self._known[ingested] = NormalizeIntensity(spec.channel_mean, spec.channel_std, channel_wise=True)
        return self._known[ingested]


def measure_scaling(slices: Iterable[tuple[Stack, int]], detectors: Sequence[str]) -> dict[str, ChannelStats]:
    """Measure mean and standard deviation of each detector's grey values over slices of stacks, in float64.

    Called once, before training; the numbers are then part of the model, so that a pixel is scaled in the same way in
    every slice and tile.

    Args:
        slices: stack and z of every slice.
        detectors: names of the detectors.
    """
    moments = {detector: np.zeros(3) for detector in detectors}
    for stack, z in slices:
        for detector in detectors:
            pixels = stack.read_slab(z, [detector], 1).astype(np.float64)
            moments[detector] += (pixels.size, pixels.sum(), np.square(pixels).sum())
    return {detector: _stats(*sums) for detector, sums in moments.items()}


def _stats(count: float, total: float, squares: float) -> ChannelStats:
    mean = total / count
    std = np.sqrt(max(squares / count - mean**2, 0.0))
    # A constant image would divide by zero; one grey value is the smallest step there is.
    return ChannelStats(mean=round(float(mean), 4), std=round(max(float(std), 1.0), 4))
