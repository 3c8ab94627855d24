"""The one fixed affine scaling per detector: the only thing done to pixels before the network."""

from collections.abc import Sequence

import numpy as np

from monai_app.domain.model_spec import ChannelStats
from monai_app.stack import Stack


def measure_scaling(stack: Stack, detectors: Sequence[str], z: Sequence[int]) -> dict[str, ChannelStats]:
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
        scaling[detector] = ChannelStats(mean=round(float(mean), 4), std=round(max(float(std), 1.0), 4))
    return scaling
