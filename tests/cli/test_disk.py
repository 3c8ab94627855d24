"""Commands on a disk that is full or may only be read end in one line, and right when there is room again."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monai_app.stack import Stack
from tests.conftest import run_command

Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a folder of so many bytes, or a folder read-only; needs root."""
    mounted: list[Path] = []

    def do(name: str, *options: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"cannot mount: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield do
    for folder in reversed(mounted):
        subprocess.run(["umount", str(folder)], check=True)


def told(*words: object) -> str:
    """Run a command that fails with one line, and return the line."""
    done = run_command("-m", "monai_app", *words, check=False)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert "[Errno" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("monai-app: ")
    return line


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob(".*"))


@pytest.mark.parametrize("suffix", [".ts", ".pt2"])
def test_an_export_to_a_full_disk(suffix: str, trained: Path, mount: Mount) -> None:
    disk = mount("disk", "-t", "tmpfs", "-o", "size=8k", "tmpfs")
    kind = {".ts": "torchscript", ".pt2": "torch-export"}[suffix]
    words = ("export", trained, disk / f"model{suffix}", "--format", kind)
    assert f"{disk}/model{suffix}: No space left on device; free space" in told(*words)
    assert list(disk.iterdir()) == []
    subprocess.run(["mount", "-o", "remount,size=32m", str(disk)], check=True)
    run_command("-m", "monai_app", *words)
    assert hidden(disk) == []


def test_a_segmentation_on_a_full_disk(trained: Path, tiny_stack: Stack, mount: Mount) -> None:
    disk = mount("disk", "-t", "tmpfs", "-o", "size=2m", "tmpfs")
    stack = Path(shutil.copytree(tiny_stack.path, disk / "s.ome.zarr"))
    free = os.statvfs(disk)
    (disk / "fill").write_bytes(bytes(free.f_bavail * free.f_frsize))
    words = ("segment", stack, trained, "--labels", "net", "--probability")
    assert "No space left on device" in told(*words)
    (disk / "fill").unlink()
    run_command("-m", "monai_app", *words)
    assert Stack.open(stack).label_names() == ("net",)


def test_a_run_folder_that_may_only_be_read(trained: Path, tiny_stack: Stack, tmp_path: Path, mount: Mount) -> None:
    (tmp_path / "share").mkdir()
    run = Path(shutil.copytree(trained, tmp_path / "share" / "run"))
    share = mount("share", "--bind", str(tmp_path / "share"))
    subprocess.run(["mount", "-o", "remount,ro,bind", str(share)], check=True)
    assert "Read-only file system; scores are written to the run folder: copy it" in told(
        "evaluate", tiny_stack.path, run
    )
    assert "Read-only file system; name a file in a place" in told("export", run)
    own = Path(shutil.copytree(tiny_stack.path, tmp_path / "own.ome.zarr"))
    run_command("-m", "monai_app", "segment", own, run, "--labels", "net", "--tiff", tmp_path / "tiffs")
    assert Stack.open(own).label_names() == ("net",)
