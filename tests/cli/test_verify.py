"""`monai-app verify`: what is whole, what has no checksums, and a line for every fault."""

import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from monai_app.cli import app
from tests.test_earlier import MADE


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    with zipfile.ZipFile(MADE) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def made(unpacked: Path, tmp_path: Path) -> Path:
    for name in ("sample.ome.zarr", "unet"):
        shutil.copytree(unpacked / name, tmp_path / name)
    return tmp_path


def verify(*words: object) -> Result:
    return CliRunner().invoke(app, ["verify", *map(str, words)])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_stack(made: Path) -> None:
    stack = made / "sample.ome.zarr"
    asked = verify(stack)
    assert asked.exit_code == 0
    assert f"{stack} has no checksums, so not all damage can be detected; add them with --add-checksums" in asked.stdout
    assert asked.stdout.endswith("\nok\n")
    added = verify(stack, "--add-checksums")
    assert (added.exit_code, added.stdout) == (0, "all files now have checksums\nok\n")
    assert verify(stack).stdout == "ok\n"
    flip(stack / "0/c/0/2/0/0")
    (stack / "labels/unet/0/c/1/0/0").unlink()
    damaged = verify(stack)
    assert damaged.exit_code == 1
    lines = [line for line in damaged.stderr.splitlines() if line.startswith("monai-app: ")]
    assert len(lines) == 2
    assert "0/c/0/2/0/0: its bytes do not match their checksum" in lines[0]
    assert "labels/unet/0/c/1/0/0 is missing" in lines[1]


def test_a_run_folder(made: Path) -> None:
    run = made / "unet"
    (run / "models/model.pt2").unlink()  # takes seconds to read
    assert verify(run).exit_code == 0
    assert "model.pt has no SHA-256 in metadata.json" in verify(run).stdout
    added = verify(run, "--add-checksums")
    assert (added.exit_code, added.stdout) == (0, "ok\n")
    torch.save(dict(torch.load(run / "models/model.pt", weights_only=True)), run / "models/model.pt")
    assert "contains weights other than those named in its bundle's metadata.json" in verify(run).stderr
    again = verify(run, "--add-checksums")
    assert again.exit_code == 0
    assert "model.ts was exported from other weights than model.pt holds now" in again.stdout
    for name in ("model.pt", "model.ts"):
        flip(run / "models" / name)
    damaged = verify(run)
    assert damaged.exit_code == 1
    for name, line in zip(("model.pt", "model.ts"), damaged.stderr.splitlines(), strict=True):
        assert name in line
        assert "damaged" in line or "is not the file that was exported" in line


def test_a_damaged_package_is_an_error(unpacked: Path, tmp_path: Path) -> None:
    package = Path(shutil.copy(unpacked / "unet.zip", tmp_path))
    flip(package)
    assert str(verify(package).exception).startswith(str(package))
    assert "is a package and has checksums" in str(verify(package, "--add-checksums").exception)
