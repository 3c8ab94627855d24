"""Processing items in threads with a bounded number of them in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def bounded_map(
    pool: ThreadPoolExecutor, work: Callable[[_Item], _Result], items: Iterable[_Item], ahead: int
) -> Iterator[tuple[_Item, _Result]]:
    """Give items, in their order, with what a function makes of each; later items are begun meanwhile.

    Args:
        pool: threads that call the function; where the caller leaves it, nothing is worked on any more.
        work: the function.
        items: taken one after the other in the thread of the caller.
        ahead: items that are begun at the most beside the first of those whose results are to be given.

    Raises:
        Exception: what the function raises for an item, in its turn.
    """
    begun: deque[tuple[_Item, Future[_Result]]] = deque()
    for item in items:
        begun.append((item, pool.submit(work, item)))
        if len(begun) > ahead:
            first, future = begun.popleft()
            yield first, future.result()
    for first, future in begun:
        yield first, future.result()
