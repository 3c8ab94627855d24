"""What a disk or file system refuses is told in one line, or replaced by what it can."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from monai_app import files
from monai_app.errors import StorageError
from monai_app.files import atomic_directory, atomic_file, clear_unused, flush, lock, work_folder
from monai_app.networks.weights import save_checkpoint
from monai_app.stack import Stack, ingest
from monai_app.storage import check_writable, refused, storage_error
from tests.conftest import write_tiny_sample


def system_error(code: int, name: str | None = None) -> OSError:
    return OSError(code, os.strerror(code), name)


def failing(code: int) -> object:
    def fail(*_: object, **__: object) -> None:
        raise system_error(code)

    return fail


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "No space left on device; free space on that disk, and run the same command again"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "Read-only file system; choose a writable place"),
        (errno.EACCES, "Permission denied; ask the owner"),
        (errno.EIO, "network drive"),
        (errno.EXDEV, "correct that"),
    ],
)
def test_an_error_names_file_reason_and_remedy(code: int, words: str) -> None:
    error = storage_error(system_error(code, "/data/model.pt"))
    assert (error.errno, error.strerror) == (code, os.strerror(code))
    text = str(error)
    assert text.startswith("/data/model.pt: ")
    assert words in text
    assert "Errno" not in text
    assert "\n" not in text


def test_a_copied_folder_names_the_file_that_did_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object, target: str, **__: object) -> None:
        raise system_error(errno.ENOSPC, target)

    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "LICENSE").touch()
    with pytest.raises(shutil.Error) as caught:
        shutil.copytree(tmp_path / "bundle", tmp_path / "copy", copy_function=full)
    assert str(storage_error(caught.value)).startswith(f"{tmp_path}/copy/LICENSE: No space left on device; free space")
    assert str(refused(caught.value)) == str(storage_error(caught.value))


def test_what_the_disk_refused_is_found_behind_other_errors() -> None:
    outer = RuntimeError("Failed to evaluate $@run")
    outer.__context__ = RuntimeError("unexpected pos 400960 vs 400912")
    outer.__context__.__context__ = system_error(errno.ENOSPC, "/data/0/0")
    assert str(refused(outer)).startswith("/data/0/0: No space left")
    assert refused(RuntimeError("another")) is None
    assert refused(system_error(errno.ENOENT, "/nowhere")) is None  # may be a step of a search


def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_text("old")

    def write() -> None:
        with atomic_file(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("iostream error") from system_error(errno.ENOSPC)

    with pytest.raises(StorageError, match=rf"^{path}: No space left"):
        write()
    assert [each.name for each in tmp_path.iterdir()] == ["model.pt"]
    assert path.read_text() == "old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_weights_that_do_not_fit_on_the_disk_name_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, opened = tmp_path / "last.ckpt", Path.open

    def open_full(self: Path, mode: str = "r") -> Any:
        return opened(Path("/dev/full") if mode == "wb" else self, mode)  # it takes nothing: ENOSPC

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(StorageError, match=rf"^{path}: No space left"):
        save_checkpoint({"weights": torch.zeros(100_000)}, path)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_writable(tmp_path / "new" / "eval", "copy it")
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path)  # the tests may run as root
    with pytest.raises(StorageError, match=rf"^{tmp_path}: Permission denied; copy it$"):
        check_writable(tmp_path / "new" / "eval", "copy it")


def test_a_file_system_that_cannot_flush_folders_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    flush(tmp_path)
    with pytest.raises(StorageError, match=rf"^{tmp_path}/file: Invalid argument"):
        flush(tmp_path / "file")
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(StorageError, match="network drive"):
        flush(tmp_path)


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK])
def test_a_file_system_without_locks_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr("fcntl.flock", failing(code))
    with pytest.raises(StorageError, match=rf"^{tmp_path}: No locks available; .*; choose another one"):
        lock(tmp_path / ".target.lock", "busy").__enter__()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS, errno.EPERM])
def test_a_file_system_that_cannot_swap_two_names_renames_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    class Library:
        def renameat2(self, *_: object) -> int:
            return -1

    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: Library())
    monkeypatch.setattr("ctypes.get_errno", lambda: code)
    for text in ("one", "two"):
        with atomic_directory(tmp_path / "run", "run.json", overwrite=True) as folder:
            (folder / "run.json").write_text(text)
    assert (tmp_path / "run" / "run.json").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_stack_is_made_where_files_cannot_be_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    stack = ingest(write_tiny_sample(tmp_path / "sample"), tmp_path / "tiny.ome.zarr")
    stack.write_labels("net", [stack.read_slab(z, ["ICE"], 1)[0] // 128 for z in range(stack.shape[0])])
    assert Stack.open(stack.path).label_names() == ("net",)


def test_what_a_killed_run_left_goes_with_the_next(tmp_path: Path) -> None:
    target = tmp_path / "unet.zip"
    left = files.partial_path(target)
    left.mkdir()
    (left / "half").touch()
    files.lock_path(target).touch()
    with work_folder(target, "busy") as folder:
        assert list(folder.iterdir()) == []
        target.touch()
    assert [path.name for path in tmp_path.iterdir()] == ["unet.zip"]
    left.mkdir()  # killed after the target had its name
    with work_folder(target, "busy"):
        clear_unused(target)
        assert left.is_dir()  # somebody works in it
    left.mkdir()
    for name in (".unet.partial.zip.lock", ".unet.partial.zip"):  # of its file
        (tmp_path / name).touch()
    clear_unused(target)
    assert [path.name for path in tmp_path.iterdir()] == ["unet.zip"]


def test_a_notebooks_backend_does_not_matter() -> None:
    """A notebook sets MPLBACKEND for what its cells start, where the module that it names may be missing."""
    code = (
        "import sys, monai_app.cli as cli; sys.argv = ['monai-app', '--help']\n"
        "try: cli.main()\n"
        "except SystemExit: import matplotlib; print('backend', matplotlib.get_backend())"
    )
    environment = {**os.environ, "MPLBACKEND": "module://no.such.backend"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "backend agg" in done.stdout.lower()
