import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_app.domain.region import Rect, Region, Span, parse_span
from monai_app.errors import ConfigError


@given(st.integers(1, 50), st.integers(0, 60), st.integers(0, 60))
def test_a_span_is_what_python_would_cut_out_or_it_is_refused(length: int, start: int, stop: int) -> None:
    lines = list(range(length))
    for text, cut in [
        (f"{start}:{stop}", lines[start:stop]),
        (f"{start}:", lines[start:]),
        (f":{stop}", lines[:stop]),
        (f" {start} ", lines[start : start + 1]),
        (":", lines),
    ]:
        given_stop = stop if text.endswith(f":{stop}") else 0
        if cut and given_stop <= length:
            span = parse_span(text, length, "y")
            assert lines[span.index] == cut
            assert len(span) == len(cut)
            assert parse_span(str(span), length, "y") == span
        else:
            with pytest.raises(ConfigError, match="--y"):
                parse_span(text, length, "y")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5:20", r"--z 5:20 is not within the slices 0 to 9; write --z 0:10 or a part of it"),
        ("10", r"--z 10 is not within the slices 0 to 9"),
        ("4:4", r"--z 4:4 is empty, because the end is excluded; write --z 4:5"),
        ("-3:", r"--z -3: is not a range of slices; write --z FIRST:END"),
        ("1:9:2", r"is not a range"),
        ("all", r"is not a range"),
        ("", r"is not a range"),
        ("1 2", r"is not a range"),
        ("²:5", r"is not a range"),
        (7, r"put it in quotes"),  # YAML makes a number of 7, and 640 of 10:40
    ],
)
def test_other_texts_are_refused_with_the_option_the_rule_and_the_remedy(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_span(text, 10, "z")


def test_a_region_is_everything_but_for_what_is_given() -> None:
    assert Region.parse("3", None, "8:", (5, 6, 20)) == Region(Span(3, 4), Span(0, 6), Span(8, 20))
    with pytest.raises(ConfigError, match="--x 21: is not within the columns 0 to 19"):
        Region.parse(None, None, "21:", (5, 6, 20))


ends = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted).map(lambda pair: Span(*pair))
rects = st.builds(Rect, ends, ends)


def mask(*rects: Rect) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """How many of the rectangles hold each pixel."""
    counts = np.zeros((40, 40), np.int64)
    for rect in rects:
        counts[rect.index] += 1
    return counts


@given(rects, rects)
def test_rectangles_share_what_their_pixels_share(one: Rect, other: Rect) -> None:
    shared = one.intersect(other)
    np.testing.assert_array_equal(mask(shared), mask(one) * mask(other))
    assert mask(one).sum() == np.prod(one.shape)
    assert min(shared.shape) >= 0


@given(rects, st.integers(1, 12), st.integers(1, 12), st.integers(-5, 5))
def test_a_grid_cuts_at_its_lines_and_loses_no_pixel(rect: Rect, rows: int, columns: int, origin: int) -> None:
    cells = list(rect.split(rows, columns))
    np.testing.assert_array_equal(mask(*cells), mask(rect))
    assert cells == sorted(set(cells))
    for cell in cells:
        assert cell.y.start // rows == (cell.y.stop - 1) // rows
        assert cell.x.start // columns == (cell.x.stop - 1) // columns
    cuts = {span.start for span in rect.y.split(rows, origin)}
    lines = {line for line in rect.y.range if (line - origin) % rows == 0}
    assert cuts == (lines | {rect.y.start} if len(rect.y) else set())


@given(rects, rects)
def test_a_rectangle_is_found_in_an_array_of_another_that_holds_it(inner: Rect, outer: Rect) -> None:
    inner = inner.intersect(outer)
    pixels = np.arange(1600).reshape(40, 40)
    np.testing.assert_array_equal(pixels[outer.index][inner.relative_to(outer).index], pixels[inner.index])
    assert inner.y.shift(7).shift(-7) == inner.y


def test_a_region_is_slices_of_one_rectangle_and_comes_back_from_json() -> None:
    region = Region(Span(1, 3), Span(0, 4), Span(2, 7))
    assert region.shape == (2, 4, 5)
    volume = np.arange(3 * 6 * 8).reshape(3, 6, 8)
    planes = [volume[z][region.rect.index] for z in region.z.range]
    np.testing.assert_array_equal(volume[region.index], planes)
    assert region.to_json() == {"z": [1, 3], "y": [0, 4], "x": [2, 7]}
    assert Region.from_json(json.loads(json.dumps(region.to_json()))) == region
    assert region.rect.to_json() == [[0, 4], [2, 7]]
    assert Region.whole((3, 6, 8)).rect == Rect.whole((9, 3, 6, 8)) == Rect(Span(0, 6), Span(0, 8))


@pytest.mark.parametrize(("axis", "line"), [("z", "slice"), ("y", "row"), ("x", "column")])
def test_a_region_lies_within_its_stack(axis: str, line: str) -> None:
    Region.whole((5, 5, 5)).check_within((5, 5, 5))
    for start, stop in product((-1, 0, 2), (2, 6)):
        spans = dict.fromkeys("zyx", Span(0, 5)) | {axis: Span(start, stop)}
        if start >= 0 and start < stop <= 5:
            Region(**spans).check_within((5, 5, 5))
            continue
        with pytest.raises(ConfigError, match=f"region {axis} {start}:{stop}: the {line}s are 0 to 4; give a part"):
            Region(**spans).check_within((5, 5, 5))
