"""The geometry of windows, against every row written out and against torch's own sizes."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from monai_app.inference.streaming.window import Window

HEIGHT = st.integers(1, 12)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    kernel, dilation = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    up = draw(st.integers(1, 4))
    stride = draw(st.integers(1, 4)) if up == 1 else 1
    extra = draw(st.integers(0, up - 1))
    return Window(kernel, stride, draw(st.integers(0, 12)), dilation, up, extra)


def read(window: Window, row: int, height: int) -> set[int]:
    """The rows of a source that a row of the result is made of, one after the other."""
    spread = [row * window.stride - window.padding + place * window.dilation for place in range(window.kernel)]
    return {at // window.up for at in spread if at % window.up == 0 and 0 <= at // window.up < height}


@given(window=windows(), height=HEIGHT)
def test_what_a_window_reads_and_when_it_is_ready(window: Window, height: int) -> None:
    rows_out = window.rows_out(height)
    if not window.meets_source or rows_out < 1:
        return
    exact = window.up == 1 or window.dilation == 1
    for row in range(rows_out):
        rows = read(window, row, height)
        low, stop = window.reads(row, row + 1)
        assert rows <= set(range(low, stop))
        assert low < height
        assert stop > 0
        if exact:
            assert rows == {at for at in range(low, stop) if window.up > 1 or (at - low) % window.dilation == 0} & set(
                range(height)
            )
    for given_rows in range(height):
        can = 0
        while (
            can < rows_out
            and max(read(window, can, height), default=-1) < given_rows
            and (window.reads(can, can + 1)[1] <= given_rows)
        ):
            can += 1
        assert window.ready(given_rows, height) == can
    assert window.ready(height, height) == rows_out


@given(window=windows(), first=st.integers(0, 9), count=st.integers(1, 9))
def test_rows_together_read_what_they_read_one_by_one(window: Window, first: int, count: int) -> None:
    each = [window.reads(row, row + 1) for row in range(first, first + count)]
    assert window.reads(first, first + count) == (min(low for low, _ in each), max(stop for _, stop in each))


@given(window=windows(), height=HEIGHT)
def test_a_window_that_meets_the_source_has_a_row_of_it_for_every_row(window: Window, height: int) -> None:
    if window.meets_source:
        for row in range(window.rows_out(height)):
            assert set(range(*window.reads(row, row + 1))) & set(range(height))


@given(
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 3),
    height=st.integers(1, 14),
    padding=st.integers(0, 4),
    extra=st.integers(0, 2),
    transposed=st.booleans(),
)
def test_sizes_are_torchs(
    kernel: int, stride: int, dilation: int, height: int, padding: int, extra: int, transposed: bool
) -> None:
    image, weight = torch.zeros(1, 1, height, 1), torch.zeros(1, 1, kernel, 1)
    options: dict[str, Any] = {"stride": (stride, 1), "padding": (padding, 0), "dilation": (dilation, 1)}
    try:
        if transposed:
            window = Window.transposed(kernel, stride, padding, dilation, extra)
            made = torch.conv_transpose2d(image, weight, output_padding=(extra, 0), **options)
        else:
            window = Window(kernel, stride, padding, dilation)
            made = torch.conv2d(image, weight, **options)
    except RuntimeError:  # no row fits, or output_padding out of range
        return
    assert window.rows_out(height) == made.shape[2]


@pytest.mark.parametrize(
    ("window", "meets"),
    [
        (Window(), True),
        (Window(3, 1, 1), True),
        (Window(3, 2, 2), True),
        (Window(3, 1, 3), False),
        (Window(1, 1, 1), False),
        (Window.transposed(2, 2), True),
        (Window.transposed(2, 3), False),
        (Window.transposed(3, 2, 1, extra=1), True),
        (Window.transposed(2, 2, extra=1), False),
        (Window.transposed(2, 2, 2), False),
    ],
)
def test_windows_that_see_padding_alone_are_known(window: Window, meets: bool) -> None:
    assert window.meets_source == meets
