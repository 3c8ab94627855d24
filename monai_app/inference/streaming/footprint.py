"""The memory of a row stream, found by counting rows instead of computing them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from monai_app.inference.streaming.layers import Layer
from monai_app.inference.streaming.rows import RowStream


@dataclass
class _Counted:
    height: int
    row_bytes: int
    readers: list[Layer] = field(default_factory=list)
    made: int = 0
    kept_from: int = 0

    @property
    def bytes(self) -> int:
        return (self.made - self.kept_from) * self.row_bytes if self.readers else 0


def peak_bytes(stream: RowStream, height: int, width: int, stripe: int, itemsize: int = 4) -> int:
    """Return the most bytes of maps that :meth:`RowStream.run` holds at once.

    Args:
        stream: the layers.
        height: rows of the tile.
        width: columns of the tile.
        stripe: rows pushed through at a time.
        itemsize: bytes of a value.
    """
    maps, peak = _maps(stream, height, width, itemsize), 0
    pushed = 0
    while True:
        rows = min(stripe, height - pushed)
        pushed += rows
        for number in stream.inputs:
            maps[number].made += rows
        advanced, highest = _advance(stream.layers, maps, stripe, height)
        peak = max(peak, highest)
        if pushed == height and not advanced:
            return peak


def _maps(stream: RowStream, height: int, width: int, itemsize: int) -> dict[int, _Counted]:
    widths = dict.fromkeys(stream.inputs, width)
    maps = {number: _Counted(height, width * stream.channels[number] * itemsize) for number in stream.inputs}
    for layer in stream.layers:
        widths[layer.target] = layer.width(widths[layer.sources[0]])
        row = widths[layer.target] * stream.channels[layer.target] * itemsize
        maps[layer.target] = _Counted(layer.height(maps[layer.sources[0]].height), row)
        for source in layer.sources:
            maps[source].readers.append(layer)
    return maps


def _advance(layers: Sequence[Layer], maps: dict[int, _Counted], limit: int, height: int) -> tuple[bool, int]:
    """One pass over the layers as `RowStream` makes it: whether any advanced, and the most bytes at once."""
    advanced, peak = False, 0
    held = sum(counted.bytes for counted in maps.values())
    for layer in layers:
        made = maps[layer.target]
        ready = min(layer.ready(maps[source].made, maps[source].height) for source in layer.sources)
        stop = min(ready, made.made + -(-limit * made.height // height))
        if stop <= made.made:
            continue
        advanced, rows = True, stop - made.made
        # The sources' rows are laid together for the layer, beside where they are kept and what is made of them.
        gathered = sum(_span(layer, made.made, stop) * maps[source].row_bytes for source in layer.sources)
        peak = max(peak, held + gathered + rows * made.row_bytes)
        touched = [made, *(maps[source] for source in set(layer.sources))]
        held -= sum(counted.bytes for counted in touched)
        made.made = stop
        for source in layer.sources:
            counted = maps[source]
            counted.kept_from = min(reader.needed(maps[reader.target].made) for reader in counted.readers)
        held += sum(counted.bytes for counted in touched)
    return advanced, peak


def _span(layer: Layer, first: int, stop: int) -> int:
    """Rows of a source that rows ``first`` to ``stop`` are made from, about."""
    return layer.needed(stop) - layer.needed(first) + 2
