"""Applying a network to a tile: in stripes if it can be streamed, otherwise to the complete tile."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import ceil

import torch
from torch import Tensor

from monai_app.device.malloc import give_back_freed_memory, keep_freed_memory
from monai_app.device.memory import enough_memory
from monai_app.device.precision import Precision, checked_dtype
from monai_app.inference.model import Model
from monai_app.inference.streaming.capture import NotStreamableError
from monai_app.inference.streaming.layers import as_image, as_rows
from monai_app.inference.streaming.lowering import lower_to_row_stream
from monai_app.inference.streaming.rows import RowStream
from monai_app.inference.streaming.upload import Raw, Uploader
from monai_app.inference.tiling.activations import count_maps
from monai_app.inference.tiling.receptive_field import measure_halo
from monai_app.networks.protocol import as_sequence

_CAPTURED_STRIDES = 4
"""Side of the image that a network is captured at, in strides; its layers do not depend on it."""

_KEPT = 2
"""Networks that are kept, for different numbers of targets: that of whole blocks, and that of the last one."""


def prepare(model: Model, device: torch.device, precision: Precision) -> "tuple[TileNetwork, int]":
    """Load a model; return it as a function of tiles, and the pixels to read around them.

    Raises:
        ConfigError: the weights do not fit, the device lacks the precision or the memory, or tiles would be inexact.
    """
    model.check_precision(precision, device)
    model.load()
    keep_freed_memory()
    halo = measure_halo(model)
    network = TileNetwork(model, device, precision)
    give_back_freed_memory()  # of measuring and recording, whose images were of other sizes than stripes are
    return network, halo


class TileNetwork:
    """A network as a function of a tile's slices.

    Args:
        model: the network and its scaling, the weights loaded. The network is moved to the device and into the
            precision.
        device: where it runs.
        precision: of weights and maps.

    Raises:
        ConfigError: the device has no arithmetic in this precision, or its memory is full.
    """

    def __init__(self, model: Model, device: torch.device, precision: Precision = "float32") -> None:
        self.model, self.device, self.dtype = model, device, checked_dtype(precision, device)
        self._streams: dict[int, RowStream] = {}
        with enough_memory(device):
            model.network.to(device, self.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._uploader = Uploader(model, device, self.dtype)
            self.streamed = self._try_stream()

    def _try_stream(self) -> bool:
        try:
            self.stream(1)
        except NotStreamableError as reason:
            logging.getLogger(__name__).warning(
                "the network cannot be streamed and runs on complete tiles, because of its %s", reason
            )
            return False
        return True

    @cached_property
    def whole_maps(self) -> int:
        """Values per pixel that the network holds at its peak where it runs on whole tiles."""
        spec = self.model.spec
        counted = spec.maps or count_maps(self.model.network, len(spec.channel_name), spec.stride)
        return ceil(self.model.memory_factor * counted)

    def stream(self, targets: int) -> RowStream:
        """Return the layers for ``targets`` consecutive target slices.

        Raises:
            NotStreamableError: an operation is not known to row streaming.
        """
        if targets not in self._streams:
            if len(self._streams) == _KEPT:  # each has its own kernels
                self._streams.pop(next(iter(self._streams)))
            spec = self.model.spec
            sequence = as_sequence(self.model.network, spec.slices, targets)
            inputs, side = targets + spec.slices - 1, _CAPTURED_STRIDES * spec.stride
            self._streams[targets] = lower_to_row_stream(sequence, inputs, len(spec.detectors), side)
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
                stripes = self._uploader.stripes(planes, sequence, stripe)
                yield from self.stream(targets).run(stripes, height)
                return
            (whole,) = self._uploader.stripes(planes, sequence, height)
            images = [as_image(rows) for rows in whole]
            for target in range(targets):
                slab = torch.cat(images[target : target + self.model.spec.slices], 1)
                yield target, 0, as_rows(self.model.network(slab))
