import errno
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from monai_app import files
from monai_app.errors import BusyError, TargetExistsError
from monai_app.files import (
    atomic_directory,
    atomic_file,
    check_directory_target,
    clear_unused,
    link_or_copy,
    lock,
)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "scores.csv"

    def write_half() -> None:
        with atomic_file(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert list((tmp_path / "deep").iterdir()) == []
    for text in ("one", "two"):
        with atomic_file(target) as temporary:
            temporary.write_text(text)
    assert target.read_text() == "two"
    assert temporary.suffix == ".csv"


def test_two_writers_of_a_file_wait_for_each_other(tmp_path: Path) -> None:
    target, finished = tmp_path / "scores.json", list[str]()

    def second() -> None:
        with atomic_file(target) as temporary:
            temporary.write_text("second")
        finished.append(target.read_text())

    thread = threading.Thread(target=second)
    with atomic_file(target) as temporary:
        temporary.write_text("half")
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()
        temporary.write_text("first")
        finished.append("first")
    thread.join()
    assert finished == ["first", "second"]
    assert [path.name for path in tmp_path.iterdir()] == ["scores.json"]


@pytest.mark.parametrize("links", [True, False])
def test_a_file_with_another_name_stays_when_the_first_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr("os.link", refuse)
    source, target = tmp_path / "a", tmp_path / "b"
    with pytest.raises(FileNotFoundError):
        link_or_copy(source, target)
    source.write_text("one")
    link_or_copy(source, target)
    assert source.samefile(target) == links
    with atomic_file(source) as temporary:
        temporary.write_text("two")
    assert target.read_text() == "one"


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    (tmp_path / ".scores.partial.json").symlink_to(tmp_path / "victim")
    with atomic_file(tmp_path / "scores.json") as temporary:
        temporary.write_text("{}")
    assert (tmp_path / "victim").read_text() == "kept"
    assert not (tmp_path / "scores.json").is_symlink()


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "run"

    def write_half() -> None:
        with atomic_directory(target, "a") as partial:
            (partial / "a").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert list(tmp_path.iterdir()) == []
    with atomic_directory(target, "a") as partial:
        (partial / "a").write_text("one")
    with pytest.raises(TargetExistsError, match="run exists"), atomic_directory(target, "a"):
        pass
    with atomic_directory(target, "a", overwrite=True) as partial:
        (partial / "b").write_text("two")
    assert [path.name for path in target.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_only_a_folder_of_its_own_kind_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for name in ("home", "file"):
        refused = pytest.raises(TargetExistsError, match=r"has no run\.json")
        with refused, atomic_directory(tmp_path / name, "run.json", overwrite=True):
            pytest.fail("replaced")
    assert (tmp_path / "home" / "thesis.tex").exists()


@pytest.mark.parametrize("name", [".", "..", "sub/.."])
def test_the_folder_one_stands_in_is_not_replaced(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here" / "sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(TargetExistsError, match="exists"), atomic_directory(Path(name), "a"):
        pass


def test_two_at_one_target_are_kept_apart(tmp_path: Path) -> None:
    refused = threading.Event()
    with atomic_directory(tmp_path / "run", "a"):

        def second() -> None:
            with pytest.raises(BusyError, match="another process"), atomic_directory(tmp_path / "run", "a"):
                pass
            refused.set()

        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert refused.is_set()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "a.ome.zarr"


def _fill(path: Path, text: str) -> None:
    (path / "c").mkdir(parents=True)
    (path / "c" / "0").write_text(text)


def _text(path: Path) -> str:
    return (path / "c" / "0").read_text()


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_lock_refuses_a_second_holder_and_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with files.lock(path), pytest.raises(BusyError, match="busy, wait"), files.lock(path, "busy, wait"):
        pytest.fail("the lock was taken twice")
    assert not path.exists()
    with files.lock(path, "busy"):
        pass


def test_lock_is_held_across_processes(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from monai_app import files\n"
    code += "with files.lock(Path(sys.argv[1]), 'busy'): print('held', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match="busy"), files.lock(tmp_path / "lock", "busy"):
            pytest.fail("two processes hold the lock")
        process.kill()
    with files.lock(tmp_path / "lock", "busy"):
        pass


def test_waiting_holders_exclude_each_other(tmp_path: Path) -> None:
    inside, most = [], []

    def work() -> None:
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


def test_publish_gives_the_name(target: Path) -> None:
    _fill(files.partial_path(target), "new")
    files.commit(target)
    assert _text(target) == "new"
    assert _names(target.parent) == [target.name]


@pytest.mark.parametrize("can_swap", [True, False])
def test_publish_replaces(target: Path, monkeypatch: pytest.MonkeyPatch, can_swap: bool) -> None:
    if not can_swap:
        monkeypatch.setattr(files, "_swap", lambda first, second: False)
    _fill(target, "old")
    _fill(files.partial_path(target), "new")
    files.commit(target)
    assert _text(target) == "new"
    assert _names(target.parent) == [target.name]


def test_swap_exchanges_or_says_that_it_cannot(tmp_path: Path) -> None:
    _fill(tmp_path / "a", "first")
    _fill(tmp_path / "b", "second")
    swapped = files._swap(tmp_path / "a", tmp_path / "b")
    assert (_text(tmp_path / "a"), _text(tmp_path / "b")) == (("second", "first") if swapped else ("first", "second"))


def test_swap_reports_other_errors(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file") as error:
        files._swap(tmp_path / "a", tmp_path / "b")
    assert error.value.errno == errno.ENOENT


def test_clear_leftovers_removes_what_a_killed_run_left(target: Path) -> None:
    _fill(target, "whole")
    _fill(files.partial_path(target), "half")
    files.clear_leftovers(target)
    assert _text(target) == "whole"
    assert _names(target.parent) == [target.name]


def test_clear_leftovers_gives_the_old_directory_its_name_back(target: Path) -> None:
    """A kill between the two renames of a replacement, where the file system cannot swap."""
    _fill(target.with_name(f".{target.name}.old"), "old")
    _fill(files.partial_path(target), "new")
    files.clear_leftovers(target)
    assert _text(target) == "old"
    assert _names(target.parent) == [target.name]


def test_an_empty_folder_is_as_good_as_none(tmp_path: Path) -> None:
    target = tmp_path / "made"
    target.mkdir()
    with atomic_directory(target, "marker") as partial:
        (partial / "marker").touch()
    assert [path.name for path in target.iterdir()] == ["marker"]
    with pytest.raises(TargetExistsError):
        check_directory_target(target, "marker", overwrite=False)


def test_a_refusal_removes_what_a_kill_after_the_end_left(tmp_path: Path) -> None:
    target, left = tmp_path / "made", (tmp_path / ".made.lock", tmp_path / ".made.partial", tmp_path / ".made.old")
    target.mkdir()
    (target / "marker").touch()
    left[0].touch()
    left[1].mkdir()
    left[2].mkdir()
    with lock(left[0]):
        clear_unused(target)  # another process makes it
        assert all(path.exists() for path in left)
    left[0].touch()
    with pytest.raises(TargetExistsError):
        check_directory_target(target, "marker", overwrite=False)
    assert list(tmp_path.iterdir()) == [target]


def test_locks_of_killed_processes_go_and_those_that_are_held_stay(tmp_path: Path) -> None:
    for name in ("left", "held"):
        (tmp_path / f".{name}.lock").touch()
    with files.lock(tmp_path / ".held.lock"):
        files.clear_locks(tmp_path.glob(".*.lock"))
        assert [path.name for path in tmp_path.iterdir()] == [".held.lock"]
    assert not list(tmp_path.iterdir())
