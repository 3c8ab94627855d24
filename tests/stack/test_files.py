import errno
import subprocess
import sys
import threading

import pytest

from monai_app.errors import StackError
from monai_app.stack import files


@pytest.fixture
def target(tmp_path):
    return tmp_path / "a.ome.zarr"


def _fill(path, text):
    (path / "c").mkdir(parents=True)
    (path / "c" / "0").write_text(text)


def _text(path):
    return (path / "c" / "0").read_text()


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_lock_refuses_a_second_holder_and_is_removed(tmp_path):
    path = tmp_path / "lock"
    with files.lock(path), pytest.raises(StackError, match="busy, wait"), files.lock(path, "busy, wait"):
        pytest.fail("the lock was taken twice")
    assert not path.exists()
    with files.lock(path, "busy"):
        pass


def test_lock_is_held_across_processes(tmp_path):
    code = "import sys; from pathlib import Path; from monai_app.stack import files\n"
    code += "with files.lock(Path(sys.argv[1]), 'busy'): print('held', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StackError, match="busy"), files.lock(tmp_path / "lock", "busy"):
            pytest.fail("two processes hold the lock")
        process.kill()
    with files.lock(tmp_path / "lock", "busy"):
        pass


def test_waiting_holders_exclude_each_other(tmp_path):
    inside, most = [], []

    def work():
        for _ in range(50):
            with files.lock(tmp_path / "lock"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 200


def test_publish_gives_the_name(target):
    _fill(files.partial_path(target), "new")
    files.publish(target)
    assert _text(target) == "new"
    assert _names(target.parent) == [target.name]


@pytest.mark.parametrize("can_swap", [True, False])
def test_publish_replaces(target, monkeypatch, can_swap):
    if not can_swap:
        monkeypatch.setattr(files, "_swap", lambda first, second: False)
    _fill(target, "old")
    _fill(files.partial_path(target), "new")
    files.publish(target)
    assert _text(target) == "new"
    assert _names(target.parent) == [target.name]


def test_swap_exchanges_or_says_that_it_cannot(tmp_path):
    _fill(tmp_path / "a", "first")
    _fill(tmp_path / "b", "second")
    swapped = files._swap(tmp_path / "a", tmp_path / "b")
    assert (_text(tmp_path / "a"), _text(tmp_path / "b")) == (("second", "first") if swapped else ("first", "second"))


def test_swap_reports_other_errors(tmp_path):
    with pytest.raises(OSError, match="No such file") as error:
        files._swap(tmp_path / "a", tmp_path / "b")
    assert error.value.errno == errno.ENOENT


def test_clear_leftovers_removes_what_a_killed_run_left(target):
    _fill(target, "whole")
    _fill(files.partial_path(target), "half")
    files.clear_leftovers(target)
    assert _text(target) == "whole"
    assert _names(target.parent) == [target.name]


def test_clear_leftovers_gives_the_old_directory_its_name_back(target):
    """A kill between the two renames of a replacement, where the file system cannot swap."""
    _fill(target.with_name(f".{target.name}.old"), "old")
    _fill(files.partial_path(target), "new")
    files.clear_leftovers(target)
    assert _text(target) == "old"
    assert _names(target.parent) == [target.name]
