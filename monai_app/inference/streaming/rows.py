"""Push an image through a network in stripes of rows: nothing is computed twice, and little is kept."""

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from monai_app.inference.streaming.layers import Layer


@dataclass
class _Map:
    """The rows of one map that somebody still needs."""

    height: int
    readers: list[Layer] = field(default_factory=list)
    made: int = 0
    blocks: deque[tuple[int, Tensor]] = field(default_factory=deque)

    def add(self, rows: Tensor) -> None:
        if self.readers:
            self.blocks.append((self.made, rows))
        self.made += rows.shape[0]

    def fetch(self, first: int, stop: int) -> Tensor:
        parts = [block[max(0, first - start) : stop - start] for start, block in self.blocks if start < stop]
        parts = [part for part in parts if part.shape[0]]
        like = parts[0]
        if first < 0:
            parts.insert(0, like.new_zeros(-first, *like.shape[1:]))
        if stop > self.height:
            parts.append(like.new_zeros(stop - self.height, *like.shape[1:]))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def release(self, row: int) -> None:
        """Forget the rows before ``row``."""
        while self.blocks and self.blocks[0][0] + self.blocks[0][1].shape[0] <= row:
            self.blocks.popleft()
        if self.blocks:
            start, block = self.blocks[0]
            if 2 * (row - start) > block.shape[0]:  # a view would keep the whole block
                self.blocks[0] = (row, block[row - start :].clone())


@dataclass(frozen=True)
class RowStream:
    """A network as a list of layers in the order of computation.

    Attributes:
        inputs: numbers of the maps that are given.
        outputs: numbers of the maps that are wanted.
        layers: the layers.
        channels: channels of every map.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    layers: tuple[Layer, ...]
    channels: tuple[int, ...]

    def run(self, stripes: Iterable[Sequence[Tensor]], height: int) -> Generator[tuple[int, int, Tensor], None, None]:
        """Push stripes through, and give the outputs' rows as they become ready.

        Args:
            stripes: for each stripe the rows of every input, (rows, columns, channels).
            height: rows of all stripes together.

        Yields:
            Number of the output (its place in ``outputs``), first row, rows (rows, columns, channels).
        """
        maps = self._maps(height)
        for stripe in stripes:
            for number, rows in zip(self.inputs, stripe, strict=True):
                maps[number].add(rows)
            limit = stripe[0].shape[0]
            # The last stripe sets free what all layers still wait for; it goes in steps of a stripe too.
            while (yield from self._advance(maps, limit, height)) and self._ended(maps):
                pass

    def _maps(self, height: int) -> dict[int, _Map]:
        maps = {number: _Map(height) for number in self.inputs}
        for layer in self.layers:
            maps[layer.target] = _Map(layer.height(maps[layer.sources[0]].height))
            for source in layer.sources:
                maps[source].readers.append(layer)
        return maps

    def _ended(self, maps: dict[int, _Map]) -> bool:
        return all(maps[number].made == maps[number].height for number in self.inputs)

    def _advance(
        self, maps: dict[int, _Map], limit: int, height: int
    ) -> Generator[tuple[int, int, Tensor], None, bool]:
        """Let every layer make the rows it can, at most those of ``limit`` rows of the input; whether any did."""

        def fetch(source: int, first: int, stop: int) -> Tensor:
            return maps[source].fetch(first, stop)

        advanced = False
        for layer in self.layers:
            made = maps[layer.target]
            ready = min(layer.ready(maps[source].made, maps[source].height) for source in layer.sources)
            stop = min(ready, made.made + -(-limit * made.height // height))
            if stop <= made.made:
                continue
            advanced = True
            rows = layer.rows(fetch, made.made, stop)
            if layer.target in self.outputs:
                yield self.outputs.index(layer.target), made.made, rows
            made.add(rows)
            for source in layer.sources:
                maps[source].release(min(reader.needed(maps[reader.target].made) for reader in maps[source].readers))
        return advanced
