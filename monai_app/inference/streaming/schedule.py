"""The order in which a row stream's layers make their rows."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from monai_app.inference.streaming.layers import Layer

_LONG = 1000
"""Times the height of an image, which is more than any window."""


@dataclass(frozen=True)
class Step:
    """A layer makes some rows.

    Attributes:
        layer: the layer.
        first: the first row.
        stop: the row after the last.
        kept_from: of each of its sources the first row that a later step reads.
    """

    layer: Layer
    first: int
    stop: int
    kept_from: Mapping[int, int]


class Schedule:
    """Decides, stripe after stripe, which layer makes which rows: each what it can, at most those of one stripe.

    Args:
        inputs: numbers of the maps that are given.
        layers: in the order of computation.
        height: rows of the inputs.

    Attributes:
        heights: rows of every map.
        made: rows of every map that are made so far.
        readers: the layers that read a map.
    """

    def __init__(self, inputs: Sequence[int], layers: Sequence[Layer], height: int) -> None:
        self._inputs, self._layers, self._height = inputs, layers, height
        self.heights = dict.fromkeys(inputs, height)
        for layer in layers:
            self.heights[layer.target] = layer.height.rows_out(self.heights[layer.sources[0]])
        self.made = dict.fromkeys(self.heights, 0)
        self.readers: dict[int, list[Layer]] = {number: [] for number in self.heights}
        for layer in layers:
            for source in dict.fromkeys(layer.sources):
                self.readers[source].append(layer)
        self._behind = self._count_behind()

    def push(self, rows: int) -> Iterator[Step]:
        """Give the steps that ``rows`` more rows of the inputs allow; each is to be done before the next is asked for.

        The last stripe sets free what all layers still wait for; it goes in steps of a stripe too.
        """
        for number in self._inputs:
            self.made[number] += rows
        while (yield from self._pass(rows)) and self.made[self._inputs[0]] == self._height:
            pass

    def _pass(self, limit: int) -> Generator[Step, None, bool]:
        """Let every layer advance once, by at most what ``limit`` rows of the inputs are; whether any did."""
        advanced = False
        for layer in self._layers:
            first, height = self.made[layer.target], self.heights[layer.target]
            ready = min(
                layer.window(place).ready(self.made[source], self.heights[source])
                for place, source in enumerate(layer.sources)
            )
            stop = min(ready, first + max(-(-limit * height // self._height), layer.step))
            if stop < height:
                behind = self._behind[layer.target]
                stop = (stop + behind) // layer.step * layer.step - behind
            if stop > first:
                advanced = True
                self.made[layer.target] = stop
                yield Step(layer, first, stop, {source: self._kept_from(source) for source in layer.sources})
        return advanced

    def _kept_from(self, number: int) -> int:
        """The first row of a map that is still needed, or the first that is not made yet."""
        made = self.made
        waiting = [layer for layer in self.readers[number] if made[layer.target] < self.heights[layer.target]]
        needed = [
            layer.reads(place, made[layer.target], made[layer.target] + 1)[0]
            for layer in waiting
            for place, source in enumerate(layer.sources)
            if source == number
        ]
        return min(max(min(needed, default=made[number]), 0), made[number])

    def _count_behind(self) -> dict[int, int]:
        """Rows by which each map stays behind what its layers are given, however long the images go on.

        Blocks of rows that end as much before a multiple of their rows can be made in the same pass.
        """
        long = 2 * _LONG
        made = dict.fromkeys(self._inputs, _LONG * self._height)
        for layer in self._layers:
            made[layer.target] = min(
                layer.window(place).ready(made[source], long * self.heights[source])
                for place, source in enumerate(layer.sources)
            )
        return {number: _LONG * self.heights[number] - rows for number, rows in made.items()}
