"""Work on a level block by block, so that memory does not grow with the slices."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from monai_app.errors import StackError
from monai_app.stack.ngff.layout import CHUNK, Index, Level, read, write
from monai_app.stack.ngff.pyramid import Halve


def spans(start: int, stop: int, step: int) -> Iterator[slice]:
    """Cut start to stop at the multiples of a step.

    Example:
        >>> [(span.start, span.stop) for span in spans(3, 10, 4)]
        [(3, 4), (4, 8), (8, 10)]
    """
    while start < stop:
        end = min(stop, (start // step + 1) * step)
        yield slice(start, end)
        start = end


def fill_levels(levels: Sequence[Level], index: Index, halve: Halve, block: int = 2 * CHUNK) -> None:
    """Make the smaller levels of one plane from its full level, block by block, so that memory does not grow with it.

    Args:
        levels: the arrays of all levels; only the first one's pixels are there.
        index: the plane, without rows and columns.
        halve: makes a block of the next level.
        block: longest edge of a block that is read, even; from two chunks on, every chunk is written once.

    Raises:
        StackError: a part cannot be read or written.
    """
    for finer, coarser in itertools.pairwise(levels):
        rows, columns = finer.shape[-2:]
        for part in itertools.product(spans(0, rows, block), spans(0, columns, block)):
            half = tuple(slice(span.start // 2, (span.stop + 1) // 2) for span in part)
            write(coarser, (*index, *half), halve(read(finer, (*index, *part))))


def erase_damaged(level: Level, index: Index) -> None:
    """Set all pixels of every unreadable chunk of a part to 0, so that the part can be written again.

    Raises:
        StackError: the disk cannot write.
    """
    parts = [slice(part, part + 1) if isinstance(part, int) else part for part in index]
    chunks = []
    for part, length, edge in zip(parts, level.shape, level.chunks, strict=True):
        start, stop, _ = part.indices(length)
        chunks.append(spans(start // edge * edge, min(length, -(-stop // edge) * edge), edge))
    for chunk in itertools.product(*chunks):
        try:
            read(level, chunk)
        except StackError:
            write(level, chunk, np.zeros(tuple(span.stop - span.start for span in chunk), level.dtype))
