"""Collects the layers of a row stream while a network's operations are lowered one by one."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeVar

from monai_app.inference.streaming.capture import Graph, NotStreamableError, Value
from monai_app.inference.streaming.doubling import join_doublings
from monai_app.inference.streaming.layers import Concatenation, Convolution, Layer
from monai_app.inference.streaming.rows import RowStream
from monai_app.inference.streaming.winograd import winograd

Maps = int | tuple[int, ...]
"""A map's number; the numbers of maps that are concatenated."""

_Layer = TypeVar("_Layer", bound=Layer)


class Builder:
    """Knows which map of the stream each value of the graph is.

    Attributes:
        layers: so far.
        shapes: channels, rows and columns of every map, at the size of image that was captured.
    """

    def __init__(self, graph: Graph) -> None:
        self.layers: list[Layer] = []
        self.shapes: list[tuple[int, int, int]] = []
        self._graph = graph
        self._maps: dict[Value, Maps] = {}
        self._readers = Counter(source for node in graph.nodes for source in node.sources)
        self._readers.update(graph.outputs)
        for value in graph.inputs:
            self._maps[value] = self._new(value.shape)

    def add(self, kind: type[_Layer], sources: Sequence[int], channels: int, **options: Any) -> int:
        """Add a layer and return the number of its map.

        Raises:
            NotStreamableError: the window of a row does not always hold a row of the source, or one source is spread
                over another of another size.
        """
        layer = kind(sources=tuple(sources), target=len(self.shapes), **options)
        windows = layer.height, layer.width
        if not all(window.meets_source for window in windows):
            raise NotStreamableError(f"windows {windows}, which see padding alone")
        if len({self.shapes[source][1:] for source in sources}) > 1:
            raise NotStreamableError("operation on maps of several sizes")
        _, *sides = self.shapes[sources[0]]
        rows, columns = (window.rows_out(side) for window, side in zip(windows, sides, strict=True))
        self.layers.append(layer)
        return self._new((1, channels, rows, columns))

    def maps(self, value: Any) -> Maps:
        """Return what a value is, which may be several maps that no layer has concatenated.

        Raises:
            NotStreamableError: it depends on no map.
        """
        if not isinstance(value, Value) or value not in self._maps:
            raise NotStreamableError("a constant, or indices of pooling, where a map is expected")
        return self._maps[value]

    def number(self, value: Any) -> int:
        """Return the number of a value's map; concatenated maps become one."""
        maps = self.maps(value)
        if isinstance(maps, int):
            return maps
        return self.add(Concatenation, maps, self.channels(maps))

    def channels(self, maps: Maps) -> int:
        """Return the channels of a map, or of several together."""
        return sum(self.shapes[number][0] for number in ((maps,) if isinstance(maps, int) else maps))

    def sole_convolution(self, value: Value) -> int | None:
        """Return the place of the convolution that made a map which only one operation reads."""
        number = self.number(value)
        for place, layer in enumerate(self.layers):
            if layer.target == number and isinstance(layer, Convolution) and not layer.relu:
                return place if self._readers[value] == 1 else None
        return None

    def same(self, value: Value, other: Value) -> Maps:
        """Return the maps of a value, of which another is a mere name: what reads the one reads the other."""
        self._readers[other] += self._readers[value] - 1
        return self.maps(value)

    def define(self, value: Value, maps: Maps) -> None:
        """Say which maps a value is.

        Raises:
            NotStreamableError: they do not have its shape.
        """
        numbers = (maps,) if isinstance(maps, int) else maps
        channels = self.channels(maps)
        if any((1, channels, *self.shapes[number][1:]) != value.shape for number in numbers):
            raise NotStreamableError(f"result {value.shape}, which is not a map of the expected size")
        self._maps[value] = maps

    def build(self) -> RowStream:
        """Return the row stream of all layers."""
        inputs = tuple(self.number(value) for value in self._graph.inputs)
        outputs: list[int] = []
        for number in map(self.number, self._graph.outputs):
            own = number not in (*inputs, *outputs)  # otherwise a copy, because every output needs its own layer
            outputs.append(number if own else self.add(Concatenation, [number], self.shapes[number][0]))
        joined = join_doublings(self.layers, self.shapes, outputs)
        layers = tuple(self._packed(layer) for layer in joined)
        return RowStream(inputs, tuple(outputs), layers, tuple(channels for channels, *_ in self.shapes))

    def _packed(self, layer: Layer) -> Layer:
        if not isinstance(layer, Convolution):
            return layer
        channels = [self.shapes[source][0] for source in layer.sources[layer.adds :]]
        return winograd(layer, channels) or layer.pack(channels)

    def _new(self, shape: tuple[int, ...]) -> int:
        _, channels, rows, columns = shape
        self.shapes.append((channels, rows, columns))
        return len(self.shapes) - 1
