from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_app.domain.numbering import find_pattern, gaps_of, numbers_within, read_number, step_of
from monai_app.errors import StackError

TEXT = st.text("abTz_- (.)", min_size=1, max_size=6).filter(lambda text: not text.endswith((".", ",")))
"""Text beside the number; a dot before digits would make decimals of them."""


def found(names: list[str]) -> list[Decimal | None]:
    pattern = find_pattern(names)
    assert pattern is not None
    return [read_number(name, pattern) for name in names]


@given(
    numbers=st.lists(st.integers(0, 10**6), min_size=2, max_size=20, unique=True),
    before=TEXT,
    after=st.text("abTz_-", max_size=4),
    constant=st.integers(0, 99),
    width=st.integers(1, 7),
)
def test_the_number_that_differs_is_found(
    numbers: list[int], before: str, after: str, constant: int, width: int
) -> None:
    """Whatever stands beside it, a constant number of the detector too, and however it is padded."""
    names = [f"r{constant}{before}{number:0{width}d}{after}_T{constant}" for number in numbers]
    assert found(names) == numbers


@given(
    numbers=st.lists(st.integers(0, 999), min_size=3, max_size=20, unique=True),
    step=st.integers(1, 50),
    start=st.integers(0, 9999),
)
def test_slices_are_missing_exactly_where_the_numbers_jump(numbers: list[int], step: int, start: int) -> None:
    whole = sorted({0, 1, *numbers})
    names = [f"z{Decimal(start + number * step) / 100}um" for number in whole]
    values = [Decimal(name[1:-2]) for name in names]
    assert step_of(values) == Decimal(step) / 100
    assert gaps_of(values) == tuple(z for z in range(1, len(whole)) if whole[z] - whole[z - 1] > 1)


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["z0um", "z0.05um", "z0.1um"], ["0", "0.05", "0.10"]),
        (["z0,5", "z1,0"], ["0.5", "1"]),
        (["slice_0001_t101530", "slice_0002_t101612", "slice_0003_t101655"], ["1", "2", "3"]),
        (["run1_s1", "run1_s2", "run2_s3"], ["1", "2", "3"]),
        (["Slice_2", "slice_1", "slice_0003_refocus"], ["2", "1", "3"]),
        (["slice_1.2", "slice_2.2"], ["1.2", "2.2"]),
        (["a{}*_1", "a{}*_2"], ["1", "2"]),
        (["SE_0007"], ["7"]),
    ],
)
def test_names_as_programs_write_them(names: list[str], numbers: list[str]) -> None:
    assert found(names) == [Decimal(number) for number in numbers]


@pytest.mark.parametrize("names", [["ice"], ["a", "b", "c"], ["SEM_5kV_slice_12"], []])
def test_names_that_give_no_number(names: list[str]) -> None:
    assert find_pattern(names) is None


@pytest.mark.parametrize(
    "names",
    [
        ["z1_t1", "z2_t2", "z3_t3"],  # both count
        ["s1_ch0", "s1_ch1", "s2_ch0", "s2_ch1"],  # no number is that of one file alone
        ["10_300", "20_350", "30_400"],  # none counts
    ],
)
def test_several_numbers_that_may_be_meant_are_refused(names: list[str]) -> None:
    with pytest.raises(StackError, match=r"differ in several numbers.*numbers: \{pattern: "):
        find_pattern(names)


@pytest.mark.parametrize(
    ("name", "pattern", "number"),
    [
        ("slice_0012_T2", "slice_{}_T*", "12"),
        ("SLICE_12_t2", "slice_{}_T*", "12"),
        ("run3_slice_7", "run*_slice_{}", "7"),
        ("slice_7.2", "slice_{}.2", "7"),
        ("slice_7.2", "slice_{}", "7.2"),
        ("slice_70", "slice_{}0", None),
        ("slice_7b", "slice_{}", None),
        ("my slice_7", "slice_{}", None),
        ("slice_0001", "*" * 60 + "x{}", None),  # a regular expression with 60 gaps would take years
    ],
)
def test_what_a_pattern_fits(name: str, pattern: str, number: str | None) -> None:
    assert read_number(name, pattern) == (None if number is None else Decimal(number))


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("slice_3_v2", {3}),
        ("labels of slice_3", {3}),
        ("slice_3_to_slice_5", {3, 5}),
        ("myslice_3", set()),
        ("3", set()),
    ],
)
def test_numbers_that_follow_the_text_of_a_pattern(name: str, numbers: set[int]) -> None:
    assert numbers_within(name, "slice_{}*") == numbers
    assert numbers_within(name, "2026-{}*") == set()
