"""Run folders of both networks, untrained but with phases that all occur, and what they export to."""

import pickle
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from monai_app.bundle.configs.templates import template_path
from monai_app.bundle.run_folder import prepare
from monai_app.export import Report, export_run, open_exported
from monai_app.export.formats import SUFFIXES, Format
from monai_app.files import file_sha256
from monai_app.inference import Model
from monai_app.networks.calibration import record_calibration
from monai_app.networks.weights import record_checksum
from monai_app.stack import Stack
from tests.conftest import TINY, TINY_SENSOR3D, made_once
from tests.export.examples import described_model
from tests.networks.test_calibration import FOUND
from tests.zoo import lively

SETTINGS = {"unet": TINY, "sensor3d": {**TINY_SENSOR3D, "levels": 2, "norm": "batch"}}


@pytest.fixture(scope="session")
def runs(tiny_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run folder of each network; tests must not change them."""

    def make(folder: Path) -> None:
        for kind, settings in SETTINGS.items():
            prepare(template_path(f"fibsem_{kind}_segmentation"), tiny_stack, folder / kind, settings=settings)
            torch.manual_seed(0)
            network = described_model(folder / kind).network
            (folder / kind / "models").mkdir()
            weights = folder / kind / "models" / "model.pt"
            torch.save(lively(network, 6).state_dict(), weights)
            record_checksum(weights)
            record_calibration(weights, FOUND.replaced(weights_sha256=file_sha256(weights), temperature=2.5))

    folder = made_once(tmp_path_factory, "runs", make)
    return {kind: folder / kind for kind in SETTINGS}


@pytest.fixture(scope="session")
def models(runs: dict[str, Path]) -> dict[str, Model]:
    """The same as models, loaded."""
    found = {kind: described_model(run) for kind, run in runs.items()}
    for model in found.values():
        model.load()
    return found


Exported = Callable[[str, Format], Report]


@pytest.fixture(scope="session")
def exported(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The exported file of a network in a format, made once; tests must not change it."""

    def export(kind: str, name: Format) -> Report:
        def make(folder: Path) -> None:
            folder.mkdir()
            report = export_run(runs[kind], name, folder / f"{kind}{SUFFIXES[name]}")
            (folder / "report").write_bytes(pickle.dumps(report))

        folder = made_once(tmp_path_factory, f"{kind} as {name}", make)
        report: Report = pickle.loads((folder / "report").read_bytes())
        return report

    return export


Opened = Callable[[str, Format], Model]


@pytest.fixture(scope="session")
def opened(exported: Exported) -> Opened:
    """The same as a model, opened once, because a program of torch.export takes seconds; tests must not change it."""
    return cache(lambda kind, name: open_exported(str(exported(kind, name).file)))


@pytest.fixture
def stack(tiny_stack: Stack, tmp_path: Path) -> Stack:
    """The tiny stack, to be written to."""
    shutil.copytree(tiny_stack.path, tmp_path / "own.ome.zarr")
    return Stack.open(tmp_path / "own.ome.zarr")
