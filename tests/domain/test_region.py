import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_app.domain.region import Region, Span, parse_span
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
        ("5:20", r"--z 5:20 leaves the slices 0 to 9; write --z 0:10 or a part of it"),
        ("10", r"--z 10 leaves the slices 0 to 9"),
        ("4:4", r"--z 4:4 holds no slice, because the end is excluded; write --z 4:5"),
        ("-3:", r"--z -3: is no span of slices; write --z FIRST:END"),
        ("1:9:2", r"is no span"),
        ("all", r"is no span"),
        ("", r"is no span"),
        ("1 2", r"is no span"),
        ("²:5", r"is no span"),
        (7, r"a config wants quotes"),  # YAML makes a number of 7, and 640 of 10:40
    ],
)
def test_other_texts_are_refused_with_the_option_the_rule_and_the_remedy(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_span(text, 10, "z")


def test_a_region_is_everything_but_for_what_is_given() -> None:
    assert Region.parse("3", None, "8:", (5, 6, 20)) == Region(Span(3, 4), Span(0, 6), Span(8, 20))
    with pytest.raises(ConfigError, match="--x 21: leaves the columns 0 to 19"):
        Region.parse(None, None, "21:", (5, 6, 20))
