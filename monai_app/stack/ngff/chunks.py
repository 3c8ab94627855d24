"""Work on a level block by block, so that memory does not grow with the slices."""

import itertools
from collections.abc import Sequence

import numpy as np

from monai_app.domain.region import Rect, Span
from monai_app.errors import StackError
from monai_app.stack.ngff.layout import CHUNK, Index, Level, read, write
from monai_app.stack.ngff.pyramid import Halve


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
        for part in Rect.whole(finer.shape).split(block, block):
            half = tuple(slice(span.start // 2, (span.stop + 1) // 2) for span in (part.y, part.x))
            write(coarser, (*index, *half), halve(read(finer, (*index, *part.index))))


def erase_damaged(level: Level, index: Index) -> None:
    """Set all pixels of every unreadable chunk of a part to 0, so that the part can be written again.

    Raises:
        StackError: the disk cannot write.
    """
    parts = [slice(part, part + 1) if isinstance(part, int) else part for part in index]
    chunks = []
    for part, length, edge in zip(parts, level.shape, level.chunks, strict=True):
        start, stop, _ = part.indices(length)
        chunks.append(Span(start // edge * edge, min(length, -(-stop // edge) * edge)).split(edge))
    for spans in itertools.product(*chunks):
        chunk = tuple(span.index for span in spans)
        try:
            read(level, chunk)
        except StackError:
            write(level, chunk, np.zeros(tuple(map(len, spans)), level.dtype))
