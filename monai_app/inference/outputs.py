"""Conversion of logits to stored bytes: labels, and optional confidence maps.

A new output is one entry of `OUTPUTS`; its planes are computed, masked, stored, checked and resumed as the others are.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from monai_app.domain.region import Rect, Span
from monai_app.errors import ConfigError
from monai_app.inference.tiling.plan import Tile
from monai_app.stack.label_images.arrays import LABELS, Map, Planes
from monai_app.stack.ngff.layout import CHUNK
from monai_app.transforms import phase_labels


@dataclass(frozen=True)
class Output(Map):
    """A map of bytes stored with the labels, and how it is computed.

    Args:
        encode: takes the probabilities (rows, columns, K) and gives values 0..1, stored as 0..255: (rows, columns), or
            (rows, columns, K) where every phase has its own.
    """

    encode: Callable[[Tensor], Tensor]


def _greatest(probability: Tensor) -> Tensor:
    return probability.amax(-1)


def _certainty(probability: Tensor) -> Tensor:
    phases = probability.shape[-1]
    if phases == 1:
        return _greatest(probability)
    negative_entropy: Tensor = torch.special.xlogy(probability, probability).sum(-1)
    return 1 + negative_entropy / math.log(phases)


OUTPUTS = {
    "max": Output("confidence", per_phase=False, encode=_greatest),
    "entropy": Output("confidence", per_phase=False, encode=_certainty),
    "probability": Output("probability", per_phase=True, encode=lambda probability: probability),
}
"""The outputs that can be stored with the labels, by name: the greatest probability; 1 - entropy / log(K), 1 where one
phase is certain; the probability of every phase."""


@dataclass(frozen=True)
class Outputs:
    """The outputs that are stored for every pixel in addition to its label.

    Args:
        confidence: name of one of `OUTPUTS`, several as a list or with commas between, or ``"none"``.
        probability: whether the probability of every phase is stored.
        temperature: what logits are divided by before they become probabilities; labels do not depend on it.

    Raises:
        ConfigError: an unknown name, or two outputs that are stored under the same name.
    """

    confidence: str | Sequence[str] = "none"
    probability: bool = False
    temperature: float = 1.0

    def __post_init__(self) -> None:
        for name in self._asked:
            if name not in OUTPUTS:
                raise ConfigError(f"confidence {name!r}: must be one of none, {', '.join(OUTPUTS)}")
        stored = [output.name for output in self.maps]
        if len(set(stored)) < len(stored):
            raise ConfigError(
                f"confidence {self.confidence!r}: {' and '.join(self.names)} would be stored under the same name; "
                "choose one of them"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what is stored, in the order of `OUTPUTS`."""
        return tuple(name for name in OUTPUTS if name in self._asked)

    @property
    def maps(self) -> tuple[Output, ...]:
        """What is stored."""
        return tuple(OUTPUTS[name] for name in self.names)

    def calibrated(self, temperature: float) -> "Outputs":
        """Return the same outputs of a model with this temperature."""
        return replace(self, temperature=temperature)

    def planes(self, logits: Tensor) -> Planes:
        """Turn logits (rows, columns, K) into bytes; values 0..1 become 0..255."""
        planes = {LABELS: phase_labels(logits, -1)[..., 0]}
        if self.maps:
            probability = (logits.float() / self.temperature).softmax(-1)
        for output in self.maps:
            plane = (output.encode(probability).clamp(0, 1) * 255).round().to(torch.uint8)
            planes[output.name] = plane.movedim(-1, 0) if output.per_phase else plane
        return {name: plane.cpu().numpy() for name, plane in planes.items()}

    @property
    def _asked(self) -> set[str]:
        names = self.confidence.split(",") if isinstance(self.confidence, str) else self.confidence
        return {name.strip() for name in names} - {"none"} | ({"probability"} if self.probability else set())


class ChunkRows:
    """Collects the rows of one target slice until they fill the store's chunks: each is compressed and written once.

    Rows and columns of the tile's halo are left out.
    """

    def __init__(self, tile: Tile, z: int) -> None:
        self.tile, self.z = tile, z
        self._row = tile.write.y.start
        self._parts: list[Planes] = []

    def add(self, first: int, logits: Tensor, outputs: Outputs) -> Iterator[tuple[Rect, Planes]]:
        """Take logits (rows, columns, K) from row ``first`` of what the tile reads.

        Yields:
            Rows and columns of the slice that are full, and their planes.
        """
        write, top = self.tile.write, self.tile.read.y.start + first
        rows = Span(top, top + logits.shape[0]).intersect(write.y)
        if not len(rows):
            return
        planes = outputs.planes(logits[rows.shift(-top).index, self.tile.inner.x.index])
        for span in rows.split(CHUNK):
            inside = span.shift(-rows.start).index
            self._parts.append({name: plane[..., inside, :] for name, plane in planes.items()})
            if span.stop % CHUNK == 0 or span.stop == write.y.stop:
                joined = {name: np.concatenate([part[name] for part in self._parts], -2) for name in planes}
                yield Rect(Span(self._row, span.stop), write.x), joined
                self._row, self._parts = span.stop, []
