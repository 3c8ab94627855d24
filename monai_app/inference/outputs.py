"""From logits to the bytes that are stored: labels, how sure the network is, and the probability of every phase."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from monai_app.errors import ConfigError
from monai_app.inference.tiling.plan import Tile
from monai_app.stack.label_images.arrays import Maps, Planes
from monai_app.stack.ngff.layout import CHUNK

Confidence = Literal["none", "max", "entropy"]
"""``max``: the greatest probability; ``entropy``: 1 - entropy / log(K), 1 where one phase is certain."""


@dataclass(frozen=True)
class Outputs:
    """What is stored of every pixel beside its label.

    Args:
        confidence: which confidence, if any.
        probability: whether the probability of every phase is stored.

    Raises:
        ConfigError: an unknown confidence.
    """

    confidence: Confidence = "none"
    probability: bool = False

    def __post_init__(self) -> None:
        known = get_args(Confidence)
        if self.confidence not in known:
            raise ConfigError(f"confidence {self.confidence!r}: must be one of {', '.join(known)}")

    @property
    def maps(self) -> Maps:
        """The maps of the result."""
        return Maps(self.confidence != "none", self.probability)

    def planes(self, logits: Tensor) -> Planes:
        """Turn logits (rows, columns, K) into bytes; probabilities 0..1 become 0..255."""
        labels = (logits.argmax(-1) + 1).to(torch.uint8)
        if self == Outputs():
            return Planes(_array(labels))
        probability = logits.float().softmax(-1)
        sure = None if self.confidence == "none" else _array(_bytes(self._sure(probability)))
        phases = _array(_bytes(probability).permute(2, 0, 1)) if self.probability else None
        return Planes(_array(labels), sure, phases)

    def _sure(self, probability: Tensor) -> Tensor:
        phases = probability.shape[-1]
        if self.confidence == "max" or phases == 1:
            return probability.amax(-1)
        negative_entropy: Tensor = torch.special.xlogy(probability, probability).sum(-1)
        return 1 + negative_entropy / math.log(phases)


def _bytes(values: Tensor) -> Tensor:
    return (values.clamp(0, 1) * 255).round().to(torch.uint8)


def _array(values: Tensor) -> npt.NDArray[np.uint8]:
    return values.cpu().numpy()


class ChunkRows:
    """Collects the rows of one target until they fill the store's chunks: a chunk is compressed and written once.

    Args:
        tile: what is computed; rows and columns of its halo are left out.
        z: the target slice.
    """

    def __init__(self, tile: Tile, z: int) -> None:
        self.tile, self.z = tile, z
        self._row = tile.y.start
        self._parts: list[Planes] = []

    def add(self, first: int, logits: Tensor, outputs: Outputs) -> Iterator[tuple[int, Planes]]:
        """Take logits (rows, columns, K) from row ``first`` of what the tile reads.

        Yields:
            First row and rows of what is full.
        """
        inner, columns = self.tile.inner
        top, bottom = max(first, inner.start), min(first + logits.shape[0], inner.stop)
        if top >= bottom:
            return
        part = outputs.planes(logits[top - first : bottom - first, columns])
        row, end = self.tile.read_y.start + top, self.tile.read_y.start + bottom
        while row < end:
            stop = min(end, (row // CHUNK + 1) * CHUNK)
            self._parts.append(_rows(part, row - end + bottom - top, stop - end + bottom - top))
            if stop % CHUNK == 0 or stop == self.tile.y.stop:
                yield self._row, _joined(self._parts)
                self._row, self._parts = stop, []
            row = stop


def _rows(planes: Planes, start: int, stop: int) -> Planes:
    cut = [None if plane is None else plane[..., start:stop, :] for plane in (planes.confidence, planes.probability)]
    return Planes(planes.labels[start:stop], *cut)


def _joined(parts: list[Planes]) -> Planes:
    confidence = [part.confidence for part in parts if part.confidence is not None]
    probability = [part.probability for part in parts if part.probability is not None]
    return Planes(
        np.concatenate([part.labels for part in parts]),
        np.concatenate(confidence) if confidence else None,
        np.concatenate(probability, 1) if probability else None,
    )
