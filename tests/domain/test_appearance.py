"""Ranges of training slices, and what lies outside them."""

import pytest

from monai_app.domain.appearance import joined, lines_of, ranges_of, unlike

KNOWN = {"TLD": {"noise": (4.0, 5.0), "curtaining": (0.05, 0.06), "offset_x": (-0.2, 0.3)}}


def test_ranges_span_the_slices_and_the_stacks() -> None:
    first = ranges_of([{"A": {"noise": 2.0}}, {"A": {"noise": 1.0, "sharpness": 0.2}}, {}])
    assert first == {"A": {"noise": (1.0, 2.0), "sharpness": (0.2, 0.2)}}
    second = {"A": {"noise": (1.5, 3.0)}, "B": {"noise": (7.0, 8.0)}}
    assert joined([first, second]) == {"A": {"noise": (1.0, 3.0), "sharpness": (0.2, 0.2)}, "B": {"noise": (7.0, 8.0)}}


@pytest.mark.parametrize(
    ("measure", "value", "told"),
    [
        ("noise", 6.4, False),
        ("noise", 6.6, True),
        ("noise", 2.7, True),
        ("curtaining", 0.085, False),
        ("curtaining", 0.095, True),
        ("curtaining", 0.0, False),  # fewer curtains than in training are not reason
        ("offset_x", 2.2, False),
        ("offset_x", -2.3, True),
        ("brightness", 100.0, False),  # not measured in the training slices
    ],
)
def test_a_value_counts_beyond_range_and_tolerance(measure: str, value: float, told: bool) -> None:
    assert bool(unlike(0, {"TLD": {measure: value}}, KNOWN)) is told


def test_consecutive_slices_are_one_line_for_each_reason() -> None:
    found = [way for z in (9, 3, 4) for way in unlike(z, {"TLD": {"noise": 9.0 + z, "offset_x": 4.0}}, KNOWN)]
    assert lines_of(found) == [
        "slices 3 to 4: noise of TLD 12.0 to 13.0, training slices 4.0 to 5.0",
        "slice 9: noise of TLD 18.0, training slices 4.0 to 5.0",
        "slices 3 to 4: offset in x of TLD 4.0 px, training slices -0.2 to 0.3 px",
        "slice 9: offset in x of TLD 4.0 px, training slices -0.2 to 0.3 px",
    ]
