"""A scored run, its labels and what was measured of them, which all tests of the report share."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from monai_app.bundle.configs.applied import Applied
from monai_app.bundle.model import load_model
from monai_app.bundle.segment import segment
from monai_app.quantify import StoredLabels, chosen_measures, quantify
from monai_app.quantify.report.folder import write_folder
from monai_app.report.sources import Sources, read_sources
from monai_app.stack import Stack
from tests.conftest import made_once, run_command


class Given(NamedTuple):
    """What a page is made of; tests must not change it."""

    run: Path
    store: Path
    quantities: Path


@pytest.fixture(scope="session")
def given(tiny_stack: Stack, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Given:
    def make(folder: Path) -> None:
        shutil.copytree(tiny_stack.path, folder / "tiny.ome.zarr")
        shutil.copytree(trained, folder / "run")
        stack = Stack.open(folder / "tiny.ome.zarr")
        run_command("-m", "monai_app", "evaluate", stack.path, folder / "run")
        segment(load_model(folder / "run"), stack.path, "unet", Applied(confidence="max"))
        measures = chosen_measures(["fraction", "correction", "representativity", "chords"])
        write_folder(quantify(StoredLabels(stack, "unet"), measures), folder / "quantities")

    folder = made_once(tmp_path_factory, "report", make)
    return Given(folder / "run", folder / "tiny.ome.zarr", folder / "quantities")


@pytest.fixture(scope="session")
def sources(given: Given) -> Sources:
    return read_sources(given)
