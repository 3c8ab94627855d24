"""A network applied to a tile: stripe by stripe where it can be streamed, else the whole tile at once."""

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from monai_app.inference.graph import NotStreamable, stream
from monai_app.inference.layers import as_image, as_rows
from monai_app.inference.model import Model
from monai_app.inference.rows import RowStream
from monai_app.inference.sequence import as_sequence

Raw = npt.NDArray[np.integer]
"""The grey values of one slice in a tile: (detectors, rows, columns)."""

_TRACED_STRIDES = 4
"""Side of the image that a network is traced at, in strides; its layers do not depend on it."""


class TileNetwork:
    """A network as a function of a tile's slices.

    Args:
        model: the network and its scaling, the weights loaded.
        device: where it runs.
    """

    def __init__(self, model: Model, device: torch.device) -> None:
        self.model, self.device = model, device
        model.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        values = [[model.scaling[name][key] for name in model.detectors] for key in ("mean", "std")]  # type: ignore[literal-required]
        self._mean, self._std = torch.tensor(values, device=device)[:, :, None, None]
        self._streams: dict[int, RowStream] = {}
        self.streamed = self._try_stream()

    def _try_stream(self) -> bool:
        try:
            self.stream(1)
        except NotStreamable as reason:
            logging.getLogger(__name__).warning("the network runs on whole tiles, because of its %s", reason)
            return False
        return True

    def stream(self, targets: int) -> RowStream:
        """Return the layers for ``targets`` consecutive target slices.

        Raises:
            NotStreamable: an operation is not known to row streaming.
        """
        if targets not in self._streams:
            model = self.model
            sequence = as_sequence(model.network, model.slices, targets)
            inputs, side = targets + model.slices - 1, _TRACED_STRIDES * model.stride
            self._streams[targets] = stream(sequence, inputs, len(model.detectors), side)
        return self._streams[targets]

    def logits(
        self, planes: Mapping[int, Raw], sequence: Sequence[int], targets: int, stripe: int
    ) -> Iterator[tuple[int, int, Tensor]]:
        """Compute a tile.

        Args:
            planes: the grey values of each slice, padded to what the tile reads.
            sequence: the slices that the slabs run through, end slices repeated; see `Plan.sequence`.
            targets: number of target slices.
            stripe: rows pushed through at a time.

        Yields:
            Number of the target, first row, and logits (rows, columns, K).
        """
        height = planes[sequence[0]].shape[1]
        with torch.no_grad():
            if self.streamed:
                stripes = (self._stripe(planes, sequence, row, stripe) for row in range(0, height, stripe))
                yield from self.stream(targets).run(stripes, height)
            else:
                images = [as_image(rows) for rows in self._stripe(planes, sequence, 0, height)]
                for target in range(targets):
                    slab = torch.cat(images[target : target + self.model.slices], 1)
                    yield target, 0, as_rows(self.model.network(slab))

    def _stripe(self, planes: Mapping[int, Raw], sequence: Sequence[int], row: int, stripe: int) -> list[Tensor]:
        scaled = {z: self._scaled(planes[z][:, row : row + stripe]) for z in set(sequence)}
        return [scaled[z] for z in sequence]

    def _scaled(self, grey: Raw) -> Tensor:
        """(C, rows, columns) to scaled (rows, columns, C), in the arithmetic of ``ScaleDetectorsd``."""
        values = torch.from_numpy(grey.astype(np.float32))
        if self.device.type == "cuda":
            values = values.pin_memory().to(self.device, non_blocking=True)
        return ((values - self._mean) / self._std).permute(1, 2, 0).contiguous()
