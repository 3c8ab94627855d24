import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from monai_app.errors import BusyError, ConfigError, StackError, TargetExistsError
from monai_app.stack import Phase, Stack, ingest
from tests.stack.samples import SampleFolder, label_plane, pixels

SHAPE = (4, 9, 14)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = SampleFolder(tmp_path_factory.mktemp("labels"))
    folder.detector("ICE", pixels(*SHAPE))
    folder.annotate({1: label_plane(*SHAPE[1:])}, train=[1], test=[])
    return ingest(folder.write(), folder.target)


@pytest.fixture
def stack(original, tmp_path):
    shutil.copytree(original.path, tmp_path / "sample.ome.zarr")
    return Stack.open(tmp_path / "sample.ome.zarr")


def _labels(seed=0):
    return np.random.default_rng(seed).integers(0, 3, SHAPE, np.uint8)


def _write(stack, name, labels, **options):
    with stack.write_labels(name, **options) as writer:
        for z, plane in enumerate(labels):
            writer.write(z, plane)


def _hidden(stack):
    return [path.name for path in (stack.path / "labels").glob(".*")]


def test_round_trip(stack):
    assert stack.label_names() == ()
    labels = _labels()
    _write(stack, "unet_ice+tld_3", labels, attributes={"model": "a", "classes": [1, 2]})
    for opened in (stack, Stack.open(stack.path)):
        assert opened.label_names() == ("unet_ice+tld_3",)
        assert opened.label_attributes("unet_ice+tld_3") == {"model": "a", "classes": [1, 2]}
        for z in range(4):
            read = opened.read_labels("unet_ice+tld_3", z)
            assert read.dtype == np.uint8
            np.testing.assert_array_equal(read, labels[z])
    window = (slice(1, 4), slice(3, 14))
    np.testing.assert_array_equal(stack.read_labels("unet_ice+tld_3", 2, window), labels[2][window])
    assert _hidden(stack) == []


def test_slices_in_any_order(stack):
    labels = _labels()
    with stack.write_labels("a") as writer:
        for z in (3, 0, 2, 1):
            assert z in writer.missing
            writer.write(z, labels[z])
        assert writer.missing == ()
    np.testing.assert_array_equal(stack.read_labels("a", 3), labels[3])


def test_nothing_is_transposed(stack):
    labels = np.zeros(SHAPE, np.uint8)
    labels[2, 3, 11] = 2
    _write(stack, "a", labels)
    assert np.argwhere([stack.read_labels("a", z) for z in range(4)]).tolist() == [[2, 3, 11]]


def test_refuses_an_unfinished_label_image(stack):
    def leave_out_two():
        with stack.write_labels("a") as writer:
            writer.write(0, _labels()[0])
            writer.write(3, _labels()[3])

    with pytest.raises(StackError, match=r"'a' lacks 2 slices, the first is 1; write every slice"):
        leave_out_two()
    assert stack.label_names() == ()
    assert _hidden(stack) == []


def test_an_error_in_the_body_leaves_nothing(stack):
    def fail_at_the_end():
        with stack.write_labels("a") as writer:
            for z, plane in enumerate(_labels()):
                writer.write(z, plane)
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        fail_at_the_end()
    assert stack.label_names() == ()
    assert sorted(path.name for path in (stack.path / "labels").iterdir()) == ["annotation", "zarr.json"]


@pytest.mark.parametrize(
    ("z", "labels", "message"),
    [
        (4, np.zeros(SHAPE[1:], np.uint8), "slice 4 isn't there; the stack has slices 0 to 3"),
        (-1, np.zeros(SHAPE[1:], np.uint8), "slice -1 isn't there"),
        (0, np.zeros(SHAPE[:0:-1], np.uint8), r"are uint8 of shape \(14, 9\) and must be uint8 of shape \(9, 14\)"),
        (0, np.zeros(SHAPE[1:], np.int64), "are int64 of shape"),
        (0, np.full(SHAPE[1:], 3, np.uint8), "hold 3 and the phases end at 2"),
    ],
)
def test_refuses_labels_that_do_not_fit(stack, z, labels, message):
    with stack.write_labels("a") as writer:
        with pytest.raises(StackError, match=message):
            writer.write(z, labels)
        for good, plane in enumerate(_labels()):
            writer.write(good, plane)


def test_other_phases_may_be_given(stack):
    phases = [Phase(n, f"phase {n}", "#102030") for n in (1, 2, 3)]
    _write(stack, "a", np.full(SHAPE, 3, np.uint8), phases=phases)
    assert stack.read_labels("a", 0).max() == 3


def test_existing_name_is_refused_and_replaced_on_demand(stack):
    old, new = _labels(0), _labels(1)
    _write(stack, "a", old)
    with pytest.raises(TargetExistsError, match=r"label image 'a' is already in .*--overwrite"):
        _write(stack, "a", new)
    with stack.write_labels("a", overwrite=True) as writer:
        for z, plane in enumerate(new):
            np.testing.assert_array_equal(stack.read_labels("a", z), old[z])
            writer.write(z, plane)
    np.testing.assert_array_equal(stack.read_labels("a", 2), new[2])
    assert stack.label_names() == ("a",)
    assert _hidden(stack) == []


def test_failing_to_replace_keeps_the_old(stack):
    old = _labels()
    _write(stack, "a", old)
    with pytest.raises(RuntimeError), stack.write_labels("a", overwrite=True):
        raise RuntimeError
    np.testing.assert_array_equal(stack.read_labels("a", 2), old[2])


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", "/a", ".a", "-a", "a b", "a\0", "é", "a\n"])
def test_refuses_names_that_escape(stack, name):
    with pytest.raises(ConfigError, match="may hold letters, digits"), stack.write_labels(name):
        pytest.fail("the name was accepted")


@pytest.mark.parametrize("name", ["annotation", "Annotation", "zarr.json"])
def test_refuses_reserved_names(stack, name):
    with pytest.raises(ConfigError, match="is reserved"), stack.write_labels(name):
        pytest.fail("the name was accepted")


def test_refuses_unknown_labels(stack):
    for read in (lambda: stack.read_labels("a", 0), lambda: stack.label_attributes("a")):
        with pytest.raises(StackError, match="no finished label image 'a'"):
            read()
    with pytest.raises(StackError, match=r"no finished label image '\.\./a'"):
        stack.read_labels("../a", 0)
    _write(stack, "a", _labels())
    with pytest.raises(StackError, match="slice 4 isn't there"):
        stack.read_labels("a", 4)


def test_a_damaged_list_of_labels_is_named(stack):
    (stack.path / "labels" / "zarr.json").write_text("{")
    with pytest.raises(StackError, match="its list of label images is unreadable"):
        stack.label_names()


def test_two_names_at_once_but_one_name_once(stack):
    with stack.write_labels("a") as first, stack.write_labels("b") as second:
        with pytest.raises(BusyError, match=r"'a' of .* is being written by another process"):
            _write(stack, "a", _labels())
        for z, plane in enumerate(_labels()):
            first.write(z, plane)
            second.write(z, plane)
    assert sorted(stack.label_names()) == ["a", "b"]
    assert _hidden(stack) == []


def test_labels_of_a_replaced_stack_are_refused(stack, tmp_path):
    folder = SampleFolder(tmp_path / "other")
    folder.detector("ICE", pixels(*SHAPE, seed=8))

    def replace_while_writing():
        with stack.write_labels("a") as writer:
            for z, plane in enumerate(_labels()):
                writer.write(z, plane)
            ingest(folder.write(), stack.path, overwrite=True)

    with pytest.raises(StackError, match="was replaced while label image 'a' was written"):
        replace_while_writing()
    assert Stack.open(stack.path).label_names() == ()


_KILLED = """
import os, signal, sys
import numpy as np
from monai_app import files
from monai_app.stack import Stack
from monai_app.stack.label_images import registry as labels
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
path, where, overwrite = sys.argv[1:]
if where == "flush":
    files.flush_tree = die
if where == "register":
    labels.register = die
stack = Stack.open(path)
with stack.write_labels("a", overwrite=overwrite == "yes") as writer:
    for z in range(4):
        if str(z) == where:
            die()
        writer.write(z, np.full(stack.shape[1:], 1, np.uint8))
"""


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("where", ["0", "3", "flush", "register"])
def test_kill_leaves_nothing_that_is_taken_for_whole(stack, where, overwrite):
    """Kill -9 before the first slice, before the last, while flushing and before the name is registered."""
    labels = _labels()
    if overwrite:
        _write(stack, "a", labels)
    arguments = [sys.executable, "-c", _KILLED, stack.path, where, "yes" if overwrite else "no"]
    assert subprocess.run(arguments, check=False).returncode == -signal.SIGKILL
    assert stack.label_names() == (("a",) if overwrite else ())
    if overwrite:  # with the name registered, the swap is the moment in which the new labels become visible
        expected = np.ones(SHAPE[1:], np.uint8) if where == "register" else labels[2]
        np.testing.assert_array_equal(stack.read_labels("a", 2), expected)
    _write(stack, "a", labels, overwrite=overwrite)
    np.testing.assert_array_equal(stack.read_labels("a", 2), labels[2])
    assert _hidden(stack) == []


def test_another_process_is_refused(stack):
    with stack.write_labels("a") as writer:
        run = subprocess.run(
            [sys.executable, "-c", _KILLED, stack.path, "none", "no"], check=False, capture_output=True, text=True
        )
        assert "BusyError: label image 'a'" in run.stderr
        assert run.returncode == 1
        for z, plane in enumerate(_labels()):
            writer.write(z, plane)
    assert stack.label_names() == ("a",)
