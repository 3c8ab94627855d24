"""Grey values on their way to the device, where they are scaled."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from monai_app.device.copies import Copies
from monai_app.inference.model import Model

Raw = npt.NDArray[np.integer]
"""The grey values of one slice in a tile: (detectors, rows, columns)."""


class Uploader:
    """Gives a tile's stripes on the device, scaled.

    Args:
        model: gives the detectors and their scaling.
        device: where they go.
        dtype: type of the scaled values, which are computed in float32.
    """

    def __init__(self, model: Model, device: torch.device, dtype: torch.dtype) -> None:
        stats = model.spec.scaling.values()
        self._mean = torch.tensor([each.mean for each in stats], device=device)[:, None, None]
        self._std = torch.tensor([each.std for each in stats], device=device)[:, None, None]
        self._copies, self._dtype = Copies(device), dtype

    def stripes(self, planes: Mapping[int, Raw], sequence: Sequence[int], stripe: int) -> Iterator[list[Tensor]]:
        """Give stripes of ``stripe`` rows from top to bottom.

        Args:
            planes: the grey values of each slice.
            sequence: the slices wanted, in their order; one may be there several times.
            stripe: rows of a stripe; the last may have fewer.

        Yields:
            For each of the sequence (rows, columns, detectors).
        """
        height = planes[sequence[0]].shape[1]
        return self._copies.ahead(self._stripe(planes, sequence, row, stripe) for row in range(0, height, stripe))

    def _stripe(self, planes: Mapping[int, Raw], sequence: Sequence[int], row: int, stripe: int) -> list[Tensor]:
        scaled = {z: self._scaled(planes[z][:, row : row + stripe]) for z in set(sequence)}
        return [scaled[z] for z in sequence]

    def _scaled(self, grey: Raw) -> Tensor:
        """(C, rows, columns) to scaled (rows, columns, C), in the arithmetic of MONAI's ``NormalizeIntensity``."""
        own = np.array(grey, grey.dtype.newbyteorder("="), order="C")  # torch takes no foreign byte order
        values = self._copies.copy(torch.from_numpy(own)).float()
        return ((values - self._mean) / self._std).permute(1, 2, 0).to(self._dtype).contiguous()
