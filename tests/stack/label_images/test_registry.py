"""Label images written slice after slice, their names and the list of them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from monai_app.domain.region import Rect, Span
from monai_app.errors import BusyError, ConfigError, StackError, TargetExistsError
from monai_app.stack import Stack, ingest
from tests.specs import phases_of
from tests.stack.samples import SampleFolder, label_plane, pixels

SHAPE = (4, 9, 14)

Labels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder = SampleFolder(tmp_path_factory.mktemp("labels"))
    folder.detector("ICE", pixels(*SHAPE))
    folder.annotate({1: label_plane(*SHAPE[1:])}, train=[1], test=[])
    return ingest(folder.write(), folder.target)


@pytest.fixture
def stack(original: Stack, tmp_path: Path) -> Stack:
    shutil.copytree(original.path, tmp_path / "sample.ome.zarr")
    return Stack.open(tmp_path / "sample.ome.zarr")


def _labels(seed: int = 0) -> Labels:
    return np.random.default_rng(seed).integers(0, 3, SHAPE, np.uint8)


def _hidden(stack: Stack) -> list[str]:
    return [path.name for path in (stack.path / "labels").glob(".*")]


def test_round_trip(stack: Stack) -> None:
    assert stack.label_names() == ()
    labels = _labels()
    stack.write_labels("unet_ice+tld_3", labels, attributes={"model": "a", "classes": [1, 2]})
    for opened in (stack, Stack.open(stack.path)):
        assert opened.label_names() == ("unet_ice+tld_3",)
        assert opened.label_attributes("unet_ice+tld_3") == {"model": "a", "classes": [1, 2]}
        for z in range(4):
            read = opened.read_labels("unet_ice+tld_3", z)
            assert read.dtype == np.uint8
            np.testing.assert_array_equal(read, labels[z])
    rect = Rect(Span(1, 4), Span(3, 14))
    np.testing.assert_array_equal(stack.read_labels("unet_ice+tld_3", 2, rect), labels[2][rect.index])
    assert _hidden(stack) == []


def test_nothing_is_transposed(stack: Stack) -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[2, 3, 11] = 2
    stack.write_labels("a", labels)
    assert np.argwhere([stack.read_labels("a", z) for z in range(4)]).tolist() == [[2, 3, 11]]


def test_an_incomplete_label_image_does_not_appear_and_is_written_again(stack: Stack) -> None:
    def failing() -> Iterator[Labels]:
        yield _labels(1)[0]
        raise RuntimeError("out of memory")

    with pytest.raises(StackError, match="'a' lacks slices from 3 on; write every slice"):
        stack.write_labels("a", _labels(1)[:3])
    with pytest.raises(RuntimeError, match="out of memory"):
        stack.write_labels("a", failing())
    with pytest.raises(StackError, match=r"slice 4, .* do not lie in the stack; give a part of its 4 slices of 9 x 14"):
        stack.write_labels("a", [*_labels(1), _labels(1)[0]])
    assert stack.label_names() == ()
    stack.write_labels("a", _labels())
    np.testing.assert_array_equal([stack.read_labels("a", z) for z in range(4)], _labels())
    assert _hidden(stack) == []


@pytest.mark.parametrize(
    ("plane", "message"),
    [
        (np.zeros(SHAPE[:0:-1], np.uint8), r"is uint8 of shape \(14, 9\) and must be uint8 of shape \(9, 14\)"),
        (np.zeros(SHAPE[1:], np.int64), "is int64 of shape"),
        (np.full(SHAPE[1:], 3, np.uint8), "hold 3 and the phases end at 2"),
    ],
)
def test_refuses_labels_that_do_not_fit(stack: Stack, plane: Labels, message: str) -> None:
    with pytest.raises(StackError, match=message):
        stack.write_labels("a", [plane])
    assert stack.label_names() == ()


def test_other_phases_may_be_given(stack: Stack) -> None:
    phases = phases_of([f"phase {n}" for n in (1, 2, 3)])
    stack.write_labels("a", np.full(SHAPE, 3, np.uint8), phases=phases)
    assert stack.read_labels("a", 0).max() == 3


def test_existing_name_is_refused_and_replaced_on_demand(stack: Stack) -> None:
    old, new = _labels(0), _labels(1)
    stack.write_labels("a", old)
    with pytest.raises(TargetExistsError, match=r"label image 'a' is already in .*--overwrite"):
        stack.write_labels("a", new)

    def looking() -> Iterator[Labels]:
        for z, plane in enumerate(new):
            np.testing.assert_array_equal(stack.read_labels("a", z), old[z])
            yield plane

    stack.write_labels("a", looking(), overwrite=True)
    np.testing.assert_array_equal(stack.read_labels("a", 2), new[2])
    assert stack.label_names() == ("a",)
    assert _hidden(stack) == []


def test_failing_to_replace_keeps_the_old(stack: Stack) -> None:
    old = _labels()
    stack.write_labels("a", old)
    with pytest.raises(StackError, match="lacks slices"):
        stack.write_labels("a", _labels(1)[:2], overwrite=True)
    np.testing.assert_array_equal(stack.read_labels("a", 2), old[2])


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", "/a", ".a", "-a", "a b", "a\0", "é", "a\n"])
def test_refuses_names_that_escape(stack: Stack, name: str) -> None:
    with pytest.raises(ConfigError, match="must contain only letters, digits"):
        stack.write_labels(name, _labels())


@pytest.mark.parametrize("name", ["annotation", "Annotation", "zarr.json"])
def test_refuses_reserved_names(stack: Stack, name: str) -> None:
    with pytest.raises(ConfigError, match="is reserved"):
        stack.write_labels(name, _labels())


def test_refuses_unknown_labels(stack: Stack) -> None:
    for read in (lambda: stack.read_labels("a", 0), lambda: stack.label_attributes("a")):
        with pytest.raises(StackError, match="no finished label image 'a'"):
            read()
    with pytest.raises(StackError, match=r"no finished label image '\.\./a'"):
        stack.read_labels("../a", 0)
    stack.write_labels("a", _labels())
    with pytest.raises(StackError, match="slice 4 does not exist"):
        stack.read_labels("a", 4)


def test_a_damaged_list_of_labels_is_named(stack: Stack) -> None:
    (stack.path / "labels" / "zarr.json").write_text("{")
    with pytest.raises(StackError, match="its list of label images is unreadable"):
        stack.label_names()


def test_two_names_at_once_but_one_name_once(stack: Stack) -> None:
    def nested() -> Iterator[Labels]:
        with pytest.raises(BusyError, match=r"'a' of .* is being written by another process"):
            stack.write_labels("a", _labels())
        stack.write_labels("b", _labels())
        yield from _labels()

    stack.write_labels("a", nested())
    assert sorted(stack.label_names()) == ["a", "b"]
    assert _hidden(stack) == []
