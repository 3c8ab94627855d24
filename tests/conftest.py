"""A tiny two-detector stack that every test may read, and a model trained on it."""

import gc
import multiprocessing
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import numpy as np
import pytest
from filelock import FileLock

from monai_app.bundle.configs.templates import tiny_settings
from tests import warm

if TYPE_CHECKING:  # which the process that only shares the tests does without
    from monai_app.stack import Stack

CHECKOUT = Path(__file__).resolve().parents[1]
SHARED_DATA = CHECKOUT.parent / "shared" / "data"
COMMAND_SECONDS = 600.0

# What tests trust is forgotten with them; processes that they start, and those of xdist, inherit the folder.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _TRUST = tempfile.TemporaryDirectory(prefix="monai-app-trust-")
    os.environ["MONAI_APP_TRUST"] = _TRUST.name

# One network's worth of threads is enough for tiny images, and spinning OpenMP threads only get in each other's way.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Pictures are saved with half the resolution: commands spend more time on them than on tiny images.
os.environ["MATPLOTLIBRC"] = str(CHECKOUT / "tests" / "matplotlibrc")


if "PYTEST_XDIST_WORKER" in os.environ:
    sys.executable = sys.orig_argv[0]  # what this process was forked from: tests start a Python by it
    multiprocessing.set_executable(sys.executable)


SLOW = ("label", "test_docs.py", "cli", "inference", "tools", "export", "test_notebook.py", "test_extend.py")
"""Folders and files of tests that take longest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the processes that share the tests begin with those that take long, so that none is left for the end.

    xdist gives each process a series of equal length; who has done its own takes from the ends of others.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0"))
    if not processes:
        return
    series: list[list[pytest.Item]] = [[] for _ in range(processes)]
    others: list[pytest.Item] = []
    for item in items:
        name = re.split("/|::", item.nodeid)[1]
        (series[SLOW.index(name) % processes] if name in SLOW else others).append(item)
    for number, own in enumerate(series):
        missing = max(0, (len(items) - sum(map(len, series[:number]))) // (processes - number) - len(own))
        own += others[:missing]
        del others[:missing]
    items[:] = [item for own in series for item in own] + others


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Never look for garbage among what tests are made of: modules and thousands of tests, which stay."""
    gc.disable()
    yield
    gc.freeze()
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    """Fork the processes that share the tests from the Python that has imported MONAI already."""
    if tx := config.getoption("tx", []):
        config.option.tx = [f"popen//python={warm.python()}"] * len(tx)


@pytest.fixture(scope="session", autouse=True)
def _torch_random() -> Iterator[None]:
    """Have hypothesis seed torch's random numbers, as it does Python's, for every example."""
    import torch

    class Random:
        seed, getstate, setstate = (
            staticmethod(f) for f in (torch.manual_seed, torch.get_rng_state, torch.set_rng_state)
        )

    kept = Random()  # hypothesis has a weak reference
    hypothesis.register_random(kept)
    yield
    del kept


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Begin every test, and the fixtures that it makes, with the same random numbers, whatever ran before."""
    import torch

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


SAMPLE = """
name: tiny
voxel_nm: {z: 20, y: 10, x: 10}
detectors: {ICE: ICE, TLD: TLD}
phases:
  - {value: 1, name: pore, colour: "#20304f"}
  - {value: 2, name: hydrate, colour: "#8fb3d9"}
  - {value: 3, name: clinker, colour: "#d55e00"}
annotations:
  source: annotations
  mapping: {1: pore, 2: hydrate, 3: clinker}
  unlabelled: [0]
  train: [1, 3, 5]
  test: [6]
"""

# The settings of a training that takes seconds.
TINY_TRAINING: dict[str, Any] = {
    "crop": [48, 48],
    "batch_size": 2,
    "steps_per_epoch": 3,
    "max_epochs": 2,
    "window": [64, 64],
    "validation_block": 32,
    "patience": 10,
    "picture_interval": 2,
    "ema_momentum": 0.5,
}
TINY: dict[str, Any] = {**TINY_TRAINING, **tiny_settings("fibsem_unet_segmentation")}
TINY_SENSOR3D: dict[str, Any] = {**TINY_TRAINING, **tiny_settings("fibsem_sensor3d_segmentation")}


def write_tiny_sample(folder: Path, slices: int = 8, rows: int = 96, columns: int = 80) -> Path:
    """Write TIFFs of a sample with three phases, seen by two noisy detectors, and return its description."""
    import scipy.ndimage
    import tifffile

    rng = np.random.default_rng(0)
    field = scipy.ndimage.gaussian_filter(rng.standard_normal((slices, rows, columns)), (1.5, 6, 6))
    truth = (1 + np.digitize(field, np.quantile(field, [0.2, 0.8]))).astype(np.uint8)
    greys = {"ICE": np.array([0, 60, 110, 120]), "TLD": np.array([0, 50, 60, 140])}
    for name, table in greys.items():
        (folder / name).mkdir(parents=True)
        images = np.clip(table[truth] + rng.normal(0, 12, truth.shape), 0, 255).astype(np.uint8)
        for z in range(slices):
            tifffile.imwrite(folder / name / f"slice_{z}.tif", images[z])
    (folder / "annotations").mkdir()
    for z in (1, 3, 5, 6):
        labels = truth[z].copy()
        labels[:8] = 0  # a strip that nobody labelled
        tifffile.imwrite(folder / "annotations" / f"slice_{z}.tif", labels)
    (folder / "sample.yaml").write_text(SAMPLE, encoding="utf8")
    return folder / "sample.yaml"


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that the first process of pytest that needs it makes, and that all others find."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    with FileLock(root / f"{name}.lock"):
        if not (root / f"{name}.done").exists():  # a failed attempt may have left a folder
            shutil.rmtree(root / name, ignore_errors=True)
            make(root / name)
            (root / f"{name}.done").touch()
    return root / name


@pytest.fixture(scope="session")
def tiny_stack(tmp_path_factory: pytest.TempPathFactory) -> "Stack":
    """The tiny stack, ingested; tests must not write label images into it."""
    from monai_app.stack import Stack, ingest

    def make(folder: Path) -> None:
        ingest(write_tiny_sample(folder / "sample"), folder / "tiny.ome.zarr")

    return Stack.open(made_once(tmp_path_factory, "tiny", make) / "tiny.ome.zarr")


def run_command(
    *arguments: object,
    check: bool = True,
    cwd: Path | None = None,
    fresh: bool = False,
    seconds: float = COMMAND_SECONDS,
) -> subprocess.CompletedProcess[str]:
    """Run this Python with arguments, as a user would from a shell in another folder.

    Args:
        arguments: of Python.
        check: whether an exit code above 0 fails the test.
        cwd: folder in which it runs.
        fresh: whether Python is really started. Otherwise its process is forked from one that has imported MONAI
            already (tests/warm says what differs), which saves seconds.
        seconds: after which it fails.
    """
    command = [sys.executable if fresh else warm.python(), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=seconds, cwd=cwd)
    if check and result.returncode != 0:
        raise AssertionError(f"{command} ended with {result.returncode}:\n{result.stdout}\n{result.stderr}")
    return result


def as_options(settings: dict[str, object]) -> list[str]:
    """Settings as words of the command line."""
    return [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]


@pytest.fixture(scope="session")
def trained(tiny_stack: "Stack", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder trained on the tiny stack by the command line; tests must not change it."""

    def make(run: Path) -> None:
        run_command("-m", "monai_app", "train", tiny_stack.path, run, *as_options(TINY))

    return made_once(tmp_path_factory, "trained", make)


@pytest.fixture(scope="session")
def trained_sensor3d(tiny_stack: "Stack", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with Sensor-3D."""

    def make(run: Path) -> None:
        variant = ("--variant", "sensor3d_ice+tld_3")
        run_command("-m", "monai_app", "train", tiny_stack.path, run, *variant, *as_options(TINY_SENSOR3D))

    return made_once(tmp_path_factory, "sensor3d", make)
