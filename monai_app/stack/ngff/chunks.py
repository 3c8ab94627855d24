"""Work on a level block by block, so that memory does not grow with the slices."""

import itertools
from collections.abc import Sequence

import numpy as np

from monai_app.domain.region import Rect
from monai_app.errors import StackError
from monai_app.stack.ngff.layout import CHUNK, Index, Level, chunks_of, read, write
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
    for _, chunk in chunks_of(level, index):
        try:
            read(level, chunk)
        except StackError:
            _blank(level, chunk)


def fill_missing(level: Level, index: Index) -> None:
    """Write 0 where a part has no chunk, so that one that is missing later is known to be lost.

    Raises:
        StackError: the disk cannot write.
    """
    for file, chunk in chunks_of(level, index):
        if not file.exists():
            _blank(level, chunk)


def _blank(level: Level, chunk: tuple[slice, ...]) -> None:
    write(level, chunk, np.zeros([part.stop - part.start for part in chunk], level.dtype))
