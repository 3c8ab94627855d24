from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_app.errors import ConfigError
from monai_app.inference.tiling.request import Request


@pytest.mark.parametrize(
    ("tile", "sides"),
    [
        (None, None),
        ("1024", (1024, 1024)),
        (1024, (1024, 1024)),
        ("2048,1024", (2048, 1024)),
        (" 2048 , 1024 ", (2048, 1024)),
        ([2048, 1024], (2048, 1024)),
        ((64,), (64, 64)),
    ],
)
def test_tiles_are_read_from_command_lines_and_configs(tile: Any, sides: tuple[int, int] | None) -> None:
    assert Request.parse(tile) == Request(sides, None)


@pytest.mark.parametrize(
    ("memory", "size"),
    [
        (None, None),
        (4096, 4096),
        ("4096", 4096),
        ("4GiB", 4 * 2**30),
        ("4 GiB", 4 * 2**30),
        ("800M", 800 * 10**6),
        ("1.5 kB", 1500),
        ("2Gi", 2 * 2**30),
        ("3 mib", 3 * 2**20),
    ],
)
def test_memory_is_read_in_bytes_and_units(memory: Any, size: int | None) -> None:
    assert Request.parse(memory=memory) == Request(None, size)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 2**50))
def test_what_is_written_is_what_is_read(rows: int, columns: int, memory: int) -> None:
    assert Request.parse(f"{rows},{columns}", str(memory)) == Request((rows, columns), memory)


@pytest.mark.parametrize("tile", ["", "wide", "64,", "64,64,64", "0", "64,-4", "1e3", [], [64, "wide"], [None], {}])
def test_other_tiles_are_refused(tile: Any) -> None:
    with pytest.raises(ConfigError, match=r"tile .*: must be the side of a square .* or ROWS,COLUMNS \(--tile\)"):
        Request.parse(tile)


@pytest.mark.parametrize("memory", ["much", "0", 0, "-4GiB", "4 apples", [4], "inf", float("inf"), float("nan")])
def test_other_sizes_are_refused(memory: Any) -> None:
    with pytest.raises(ConfigError, match=r"memory .*: must be a size such as 4GiB or 800MB \(--memory\)"):
        Request.parse(memory=memory)
