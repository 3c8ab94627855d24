"""Push an image through a network in stripes of rows: nothing is computed twice, and little is kept."""

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from monai_app.inference.streaming.layers import Layer
from monai_app.inference.streaming.schedule import Schedule


class FeatureRows:
    """The rows of one map, of ``height`` rows in all, that a layer still needs."""

    def __init__(self, height: int) -> None:
        self._height, self._made = height, 0
        self._blocks: deque[tuple[int, Tensor]] = deque()

    def add(self, rows: Tensor) -> None:
        """Append rows (rows, columns, channels)."""
        self._blocks.append((self._made, rows))
        self._made += rows.shape[0]

    def fetch(self, first: int, stop: int, outside: float | None) -> Tensor:
        """Return rows, those outside the map as :data:`~monai_app.inference.streaming.layers.Fetch` says."""
        parts = [block[max(0, first - start) : stop - start] for start, block in self._blocks if start < stop]
        parts = [part for part in parts if part.shape[0]]
        if first < 0:
            parts.insert(0, _margin(parts[0][:1], -first, outside))
        if stop > self._height:
            parts.append(_margin(parts[-1][-1:], stop - self._height, outside))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def release(self, row: int) -> None:
        """Forget the rows before ``row``."""
        while self._blocks and self._blocks[0][0] + self._blocks[0][1].shape[0] <= row:
            self._blocks.popleft()
        if self._blocks:
            start, block = self._blocks[0]
            if 2 * (row - start) > block.shape[0]:  # a view would keep the whole block
                self._blocks[0] = (row, block[row - start :].clone())


def _margin(edge: Tensor, rows: int, outside: float | None) -> Tensor:
    shape = (rows, *edge.shape[1:])
    return edge.expand(shape) if outside is None else edge.new_full(shape, outside)


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
        schedule = Schedule(self.inputs, self.layers, height)
        maps = {number: FeatureRows(schedule.heights[number]) for number, read in schedule.readers.items() if read}

        def fetch(source: int, first: int, stop: int, outside: float | None) -> Tensor:
            return maps[source].fetch(first, stop, outside)

        for stripe in stripes:
            for number, rows in zip(self.inputs, stripe, strict=True):
                if number in maps:
                    maps[number].add(rows)
            for step in schedule.push(stripe[0].shape[0]):
                target = step.layer.target
                rows = step.layer.rows(fetch, step.first, step.stop, schedule.heights[target])
                if target in self.outputs:
                    yield self.outputs.index(target), step.first, rows
                if target in maps:
                    maps[target].add(rows)
                for source, row in step.kept_from.items():
                    maps[source].release(row)

    def peak_bytes(self, height: int, width: int, stripe: int, itemsize: int = 4) -> int:
        """Return the most bytes of maps that :meth:`run` holds at once, found by the same steps without computing.

        The tile has ``height`` rows and ``width`` columns, a value ``itemsize`` bytes.
        """
        schedule, row_bytes = Schedule(self.inputs, self.layers, height), self._row_bytes(width, itemsize)
        kept_from = dict.fromkeys(row_bytes, 0)
        held = peak = 0
        for start in range(0, height, stripe):
            rows = min(stripe, height - start)
            held += sum(rows * row_bytes[number] for number in self.inputs if schedule.readers[number])
            for step in schedule.push(rows):
                layer, made = step.layer, (step.stop - step.first) * row_bytes[step.layer.target]
                # The sources' rows are gathered for the layer, beside where they are kept and what is made of them.
                spans = [layer.reads(place, step.first, step.stop) for place in range(len(layer.sources))]
                gathered = sum(
                    (high - low) * row_bytes[source] for source, (low, high) in zip(layer.sources, spans, strict=True)
                )
                peak = max(peak, held + int((gathered + made) * (1 + layer.scratch)))
                held += made if schedule.readers[layer.target] else 0
                for source, row in step.kept_from.items():
                    held -= (row - kept_from[source]) * row_bytes[source]
                    kept_from[source] = row
        return peak

    def _row_bytes(self, width: int, itemsize: int) -> dict[int, int]:
        widths = dict.fromkeys(self.inputs, width)
        for layer in self.layers:
            widths[layer.target] = layer.width.rows_out(widths[layer.sources[0]])
        return {number: columns * self.channels[number] * itemsize for number, columns in widths.items()}
