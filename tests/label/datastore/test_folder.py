"""The server's folder: what is a person's stays, and one server works in it at a time."""

import os
from pathlib import Path

import pytest

from monai_app.errors import ConfigError
from monai_app.label.datastore.folder import MARKER, own_folder
from monai_app.label.settings import Workspace
from monai_app.stack import Stack, ingest
from tests.conftest import write_tiny_sample
from tests.label.test_serve import refused


def begin(folder: Path, stack: Stack) -> None:
    """What a server does to its folder at its start."""
    with own_folder(Workspace(folder), stack):
        assert (folder / MARKER).is_file()


def test_a_folder_in_which_a_person_has_something_is_refused_and_left_alone(
    tiny_stack: Stack, trained: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    for name in ("temporary", "sessions"):
        (mine / name).mkdir(parents=True)
        (mine / name / "thesis.txt").write_text("x")
    message = refused(tiny_stack.path, "--bundle", trained, "--studies", mine)
    for word in (str(mine), MARKER, "--studies"):
        assert word in message
    found = sorted(str(path.relative_to(mine)) for path in mine.rglob("*"))
    assert found == ["sessions", "sessions/thesis.txt", "temporary", "temporary/thesis.txt"]


def test_the_server_s_own_folder_is_emptied_of_what_a_killed_server_left(tiny_stack: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "studies"
    begin(folder, tiny_stack)
    for name in ("temporary", "sessions", "cases"):
        (folder / name).mkdir()
        (folder / name / "left").touch()
    locks = [folder / "cases" / ".cases.lock", tiny_stack.path / "labels" / ".register.lock"]
    for lock in locks:
        lock.touch()
    begin(folder, tiny_stack)
    assert not any(lock.exists() for lock in locks)
    assert {path.name for path in folder.iterdir()} == {MARKER, "cases"}
    half = tmp_path / "killed"
    half.mkdir()
    (half / f".{Path(MARKER).stem}.partial.json").touch()
    begin(half, tiny_stack)


def test_the_folder_of_an_earlier_version_is_known_by_its_log(tiny_stack: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "studies"
    (folder / "logs").mkdir(parents=True)
    (folder / "temporary").mkdir()
    with pytest.raises(ConfigError, match="it is not a server's folder"):
        begin(folder, tiny_stack)
    (folder / "logs" / "server.log").touch()
    (folder / "thesis.txt").touch()
    with pytest.raises(ConfigError, match="it is not a server's folder"):
        begin(folder, tiny_stack)
    (folder / "thesis.txt").unlink()
    begin(folder, tiny_stack)


def test_the_folder_of_another_stack_is_refused(tiny_stack: Stack, tmp_path: Path) -> None:
    """Its predictions and models would be taken for this one's."""
    folder = tmp_path / "studies"
    begin(folder, tiny_stack)
    description = write_tiny_sample(tmp_path / "sample")
    description.write_text(description.read_text().replace("pore", "void"))
    other = ingest(description, tmp_path / "tiny.ome.zarr")
    begin(folder, other)  # nothing is kept yet
    begin(folder, tiny_stack)
    (folder / "labels").mkdir()
    with pytest.raises(ConfigError, match=r"belongs to a stack other than .*tiny.ome.zarr"):
        begin(folder, other)
    begin(folder, tiny_stack)


def test_a_link_to_the_folder_is_the_same_folder(tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "studies"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    with own_folder(Workspace(folder.resolve()), tiny_stack):
        assert "another server" in refused(tiny_stack.path, "--bundle", trained, "--studies", tmp_path / "link")


def test_a_folder_that_cannot_be_written_is_refused_with_a_remedy(
    tiny_stack: Stack, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = (tiny_stack.path, "--bundle", trained, "--studies")
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "in it"):
        message = refused(*usual, place)
        assert "choose another" in message
        assert "--studies" in message
    message = refused(*usual, "/proc/x")
    assert "/proc/x: " in message
    assert "--studies" in message

    def read_only(*_: object, **__: object) -> int:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr("monai_app.files.os.open", read_only)
    with pytest.raises(ConfigError, match=r"Read-only file system; choose a writable place"):
        begin(tmp_path / "new", tiny_stack)
