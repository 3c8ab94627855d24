"""Files are parted by the word in which their names differ."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_app.io.base import Request
from monai_app.stack.discovery.naming import group_files

WORDS = st.lists(st.sampled_from(["ICE", "TLD", "In[1]", "T1", "bse", "label"]), min_size=2, max_size=3, unique=True)


def grouped(names: list[str]) -> dict[str, set[str]]:
    """Word -> names of the files; every pattern chooses just these."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [folder / each for each in names]
        for file in files:
            file.touch()
        groups = group_files(folder, files)
        for group in groups:
            assert {file for file in files if Request(files=group.pattern).fits(file)} == set(group.files)
        return {group.word: {file.name for file in group.files} for group in groups}


@settings(max_examples=25)
@given(
    words=WORDS,
    order=st.permutations(["word", "number", "other"]),
    mark=st.sampled_from(["_", "-", " ", "."]),
    other=st.sampled_from(["s", "Probe 3", "cement(2)", "x#1"]),
    first=st.integers(0, 95),
    width=st.sampled_from([0, 4]),
)
def test_names_of_detectors_may_stand_anywhere(
    words: list[str], order: list[str], mark: str, other: str, first: int, width: int
) -> None:
    expected = {
        word: {
            mark.join({"word": word, "number": f"{number:0{width}d}", "other": other}[part] for part in order) + ".tif"
            for number in range(first, first + 4)
        }
        for word in words
    }
    assert grouped(sorted(set().union(*expected.values()))) == expected


@pytest.mark.parametrize(
    "names",
    [
        ["slice_1.tif", "slice_2.tif"],
        ["2026-01-03_run0_00.tif", "2026-01-04_run1_01.tif"],
        ["a_1.tif", "b_2.tif", "c_3.tif"],
        ["one.tif"],
    ],
)
def test_what_does_not_repeat_is_no_word(names: list[str]) -> None:
    assert grouped(names) == {"": set(names)}


def test_formats_are_kept_apart() -> None:
    names = ["1.tif", "2.tif", "1.png", "2.png"]
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name) / each for each in names]
        for file in files:
            file.touch()
        groups = group_files(Path(name), files)
    assert [(group.pattern, len(group.files)) for group in groups] == [("*.tif", 2), ("*.png", 2)]
