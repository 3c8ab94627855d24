from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from monai_app.background.bounded_map import bounded_map


def test_results_come_in_order_and_few_items_are_begun() -> None:
    taken, given = [], []
    first_may_end = Event()

    def items() -> Iterator[int]:
        for item in range(20):
            taken.append(item)
            if item == 2:
                first_may_end.set()  # the others are begun while the first one is worked on
            yield item

    def square(item: int) -> int:
        assert item or first_may_end.wait(60)
        return item**2

    with ThreadPoolExecutor(2) as pool:
        for item, result in bounded_map(pool, square, items(), 2):
            given.append((item, result))
            assert len(taken) - len(given) <= 2
    assert given == [(item, item**2) for item in range(20)]


def test_an_error_is_raised_in_its_turn_and_ends_the_work() -> None:
    given: list[int] = []
    begun: list[int] = []

    def fail_at_three(item: int) -> int:
        begun.append(item)
        if item == 3:
            raise OSError("the disk is full")
        return item

    def consume() -> None:
        with ThreadPoolExecutor(2) as pool:
            given.extend(item for item, _ in bounded_map(pool, fail_at_three, range(100), 2))

    with pytest.raises(OSError, match="the disk is full"):
        consume()
    assert len(begun) <= 6
