"""The programs of docs/examples give the network's labels, with neither monai_app nor monai to be found."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from packaging.requirements import Requirement

from monai_app.export.formats import Format
from monai_app.inference import Model
from tests.conftest import CHECKOUT, made_once
from tests.export.conftest import Exported

EXAMPLES = CHECKOUT / "docs" / "examples"
ROWS, COLUMNS = 45, 70

ALONE = """
import runpy, sys
sys.path.insert(0, {folder!r})
for name in ("monai_app", "monai", "zarr"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise SystemExit(f"{{name}} is there")
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a script with the packages of one folder and the standard library."""


def closure(name: str, found: dict[str, Any] | None = None) -> dict[str, Any]:
    """An installed distribution and all that it requires here, by their names."""
    found = {} if found is None else found
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in found:
        return found
    try:
        found[key] = distribution(name)
    except PackageNotFoundError:  # for other systems, or left out by who installed
        return found
    for text in distribution(name).requires or []:
        requirement = Requirement(text)
        extras = {f"{name}[{extra}]": extra for extra in requirement.extras}
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            closure(requirement.name, found)
            for extra in extras.values():
                for more in distribution(requirement.name).requires or []:
                    inner = Requirement(more)
                    if inner.marker is not None and inner.marker.evaluate({"extra": extra}):
                        closure(inner.name, found)
    return found


def only(names: tuple[str, ...], folder: Path) -> Path:
    """A folder of links to the packages of some distributions and of what they require."""
    folder.mkdir()
    for name in names:
        for package in closure(name).values():
            tops = {path.parts[0] for path in package.files or () if path.parts[0] not in ("..", "__pycache__")}
            for top in tops:
                if not (folder / top).exists():
                    (folder / top).symlink_to(package.locate_file(top))
    return folder


def slab(dtype: str) -> np.ndarray:
    """Grey values (S*C, rows, columns) of sides that the stride does not divide."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(20, 120, (6, ROWS // 9, COLUMNS // 10)).repeat(9, 1).repeat(10, 2)
    return (coarse + rng.integers(-10, 10, coarse.shape)).astype(dtype)


def expected(model: Model, grey: np.ndarray) -> np.ndarray:
    """Labels (rows, columns) of the eager network."""
    spec = model.spec
    mean, std = (torch.tensor(values)[:, None, None] for values in (spec.channel_mean, spec.channel_std))
    image = ((torch.from_numpy(grey.astype(np.float32)) - mean) / std)[None]
    padding = (0, -COLUMNS % spec.stride, 0, -ROWS % spec.stride)
    with torch.no_grad():
        logits = model.network(torch.nn.functional.pad(image, padding, mode="replicate"))[0, :, :ROWS, :COLUMNS]
    labels: np.ndarray = (logits.argmax(0) + 1).to(torch.uint8).numpy()
    assert len(np.unique(labels)) == 3
    return labels


def labels_by(command: list[object], file: Path, grey: np.ndarray, folder: Path) -> np.ndarray:
    grey.tofile(folder / "slab.raw")
    words = [*command, file, folder / "slab.raw", ROWS, COLUMNS, folder / "labels.raw"]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=300, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""
    return np.fromfile(folder / "labels.raw", np.uint8).reshape(ROWS, COLUMNS)


@pytest.mark.parametrize(
    ("script", "needs", "name", "kind"),
    [
        ("torchscript_labels.py", ("torch", "numpy"), "torchscript", "unet"),
        ("torch_export_labels.py", ("torch", "numpy"), "torch-export", "unet"),
        ("onnx_labels.py", ("onnxruntime",), "onnx", "sensor3d"),
    ],
)
def test_python_needs_the_runtime_alone(
    script: str,
    needs: tuple[str, ...],
    name: Format,
    kind: str,
    exported: Exported,
    models: dict[str, Model],
    tmp_path: Path,
) -> None:
    folder, grey = only(needs, tmp_path / "packages"), slab("uint8")
    assert not (folder / "monai").exists()
    assert (folder / "torch").exists() is ("torch" in needs)
    alone = [sys.executable, "-S", "-I", "-c", ALONE.format(folder=str(folder)), EXAMPLES / script]
    given = labels_by(alone, exported(kind, name).file, grey, tmp_path)
    assert (given != expected(models[kind], grey)).mean() <= (1e-5 if name == "onnx" else 0)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C++ example, compiled."""
    if not all(map(shutil.which, ("cmake", "c++"))):
        pytest.skip("there is no cmake or no C++ compiler")
    prefix = Path(torch.utils.cmake_prefix_path)
    if not (prefix.parents[1] / "include" / "torch" / "script.h").is_file():
        pytest.skip("this torch comes without its C++ headers")

    def make(build: Path) -> None:
        for command in (
            ["cmake", "-S", EXAMPLES / "libtorch", "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}"],
            ["cmake", "--build", build],
        ):
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stdout + done.stderr

    return made_once(tmp_path_factory, "build", make) / "labels"


@pytest.mark.parametrize("kind", ["unet", "sensor3d"])
def test_cpp_needs_libtorch_alone(
    kind: str, program: Path, exported: Exported, models: dict[str, Model], tmp_path: Path
) -> None:
    given = labels_by([program], exported(kind, "torchscript").file, slab("uint8"), tmp_path)
    np.testing.assert_array_equal(given, expected(models[kind], slab("uint8")))


def changed(file: Path, target: Path, old: str, new: str) -> Path:
    """A copy of a TorchScript file with other metadata."""
    from monai_app.export.networks import ExportedNetwork, quiet_torchscript

    files = {"metadata.json": ""}
    with quiet_torchscript():
        torch.jit.load(file, _extra_files=files)
        text = files["metadata.json"]
        text = text.decode() if isinstance(text, bytes) else text
        assert old in text
        network = ExportedNetwork.read(file, "torchscript").function
        torch.jit.save(network, target, _extra_files={"metadata.json": text.replace(old, new)})
    return target


def test_cpp_reads_16_bit_and_refuses_metadata_that_it_does_not_understand(
    program: Path, exported: Exported, models: dict[str, Model], tmp_path: Path
) -> None:
    file, grey = exported("unet", "torchscript").file, slab("uint16")
    wide = changed(file, tmp_path / "wide.ts", '"dtype": "uint8", "phases"', '"dtype": "uint16", "phases"')
    np.testing.assert_array_equal(labels_by([program], wide, grey, tmp_path), expected(models["unet"], grey))
    slab("uint8").tofile(tmp_path / "slab.raw")
    for old, new, named in (
        ('"channel_mean": [', '"channel_moan": [', "channel_mean"),
        ('"channel_std": [', '"channel_std": ["1", ', "channel_std"),
        ('"stride": 16', '"stride": 0', "stride"),
        ('"model_description": {', '"model_descriptions": {', "model_description"),
    ):
        broken = changed(file, tmp_path / "broken.ts", old, new)
        words = [program, broken, tmp_path / "slab.raw", ROWS, COLUMNS, tmp_path / "none.raw"]
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=100)
        assert (done.returncode, f'"{named}"' in done.stderr) == (1, True), done.stderr
    assert not (tmp_path / "none.raw").exists()
