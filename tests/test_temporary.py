"""Temporary folders: what killed processes left goes, what others use stays."""

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from monai_app import temporary
from monai_app.temporary import process_folder, temporary_files_in, temporary_folder


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_folder_lasts_as_long_as_it_is_used_and_what_killed_processes_left_goes(place: Path) -> None:
    with temporary_folder("work") as used, temporary_folder("other") as other:
        left = shutil.copytree(used, used.with_name(f"{used.name}-left"))  # nobody has locked it
        kept = shutil.copytree(other, other.with_name(f"{other.name}-left"))
        (left / "file").touch()
        link = used.with_name(f"{used.name}-link")
        link.symlink_to(kept)
        with temporary_folder("work") as folder:
            assert sorted(place.iterdir()) == sorted([used, other, kept, folder, link])
    assert sorted(place.iterdir()) == sorted([kept, link])


def test_a_folder_that_another_process_took_for_unused_is_made_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = tempfile.mkdtemp
    taken: list[str] = []

    def make_and_lose(**options: str) -> str:
        folder = make(**options)
        if not taken:
            taken.append(folder)
            shutil.rmtree(folder)
        return folder

    monkeypatch.setattr(tempfile, "mkdtemp", make_and_lose)
    with temporary_folder("work") as folder:
        assert folder.is_dir()
    assert taken
    assert not list(place.iterdir())


def test_without_locks_nothing_of_others_is_removed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with temporary_folder("work") as first, temporary_folder("work") as second:
        assert first.is_dir()
        assert second.is_dir()
    assert not list(place.iterdir())


def test_a_folder_of_this_process_is_used_until_it_ends(place: Path) -> None:
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setattr(temporary, "_OF_PROCESS", stack)
        folder = process_folder("work")
        with temporary_folder("work"):
            assert folder.is_dir()
    assert not list(place.iterdir())


def test_files_of_libraries_are_in_a_folder_during_the_context(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder := place / "folder").mkdir()
    asked = [sys.executable, "-c", "import tempfile; print(tempfile.gettempdir())"]
    for before in (None, str(place)):
        monkeypatch.setenv("TMPDIR", before) if before else monkeypatch.delenv("TMPDIR", raising=False)
        with temporary_files_in(folder):
            assert tempfile.gettempdir() == str(folder)
            assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip() == str(folder)
        assert (tempfile.gettempdir(), os.environ.get("TMPDIR")) == (str(place), before)
