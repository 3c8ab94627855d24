"""Choose size and quality of pictures so that together they stay within a budget of bytes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from monai_app.progress import Progress, silent

_MARGIN = 1.03
"""Safety margin: slices may be larger than the sampled ones."""

_EACH = 100
"""Overhead bytes per slice: its element, and its number in the page's list."""

_TRIED = 8
"""Number of sampled slices."""


@dataclass(frozen=True)
class Detail:
    """How a slice is encoded.

    Args:
        side: maximum pixels of its longer side.
        quality: of its JPEGs.
        step: every ``step``-th slice is shown.
    """

    side: int
    quality: int
    step: int = 1


DETAILS = (
    Detail(1024, 85),
    Detail(1024, 70),
    Detail(1024, 55),
    Detail(1024, 45),
    Detail(896, 45),
    Detail(800, 45),
    Detail(704, 45),
    Detail(640, 45),
    Detail(576, 45),
    Detail(512, 45),
    Detail(448, 40),
    Detail(384, 35),
    Detail(320, 30),
    Detail(256, 30),
)
"""From the best to the worst useful quality."""

Encode = Callable[[int, Detail], str]
"""Returns slice z in its embedded form."""


def spread(slices: int, count: int) -> list[int]:
    """Return at most ``count`` slices, spread over all of them.

    Example:
        >>> spread(156, 4), spread(3, 8)
        ([19, 58, 97, 136], [0, 1, 2])
    """
    count = min(slices, count)
    return [(2 * n + 1) * slices // (2 * count) for n in range(count)]


def within(slices: int, budget: int, encode: Encode, progress: Progress = silent) -> tuple[Detail, dict[int, str]]:
    """Encode slices in the best quality within a budget.

    Args:
        slices: their number.
        budget: maximum bytes of all slices.
        encode: encodes one slice.
        progress: called while they are encoded; restarts from 0 if they are larger than expected.

    Returns:
        How they are encoded, and z -> encoded slice. A single slice is kept whatever its size.
    """
    least = replace(DETAILS[-1], step=slices)
    for detail in _details(slices, budget, encode):
        shown, encoded, left = range(0, slices, detail.step), dict[int, str](), budget
        progress(0, len(shown))
        for done, z in enumerate(shown, 1):
            encoded[z] = encode(z, detail)
            left -= len(encoded[z]) + _EACH
            if left < 0 and detail != least:
                break
            progress(done, len(shown))
        else:
            break
    return detail, encoded


def _details(slices: int, budget: int, encode: Encode) -> Iterator[Detail]:
    """Yield settings that may fit, judged from sampled slices: for all slices, then for every second, third, ..."""
    tried = spread(slices, _TRIED)
    for detail in DETAILS:
        each = _MARGIN * sum(len(encode(z, detail)) + _EACH for z in tried) / len(tried)
        if each * slices <= budget:
            yield detail
    for step in range(2, slices):
        if each * len(range(0, slices, step)) <= budget:
            yield replace(DETAILS[-1], step=step)
    yield replace(DETAILS[-1], step=slices)
