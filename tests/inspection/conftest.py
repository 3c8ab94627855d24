"""Simulated stacks, as TIFF folders that tests may bend."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from monai_app.phantom import PhantomConfig, simulate
from tests.conftest import made_once

Detectors = dict[str, npt.NDArray[Any]]
"""Detector name -> (slices, rows, columns)."""


def simulated(slices: int, **settings: Any) -> Detectors:
    """Simulate a stack of 256 x 256."""
    config = PhantomConfig.from_mapping({"slices": slices, "rows": 256, "columns": 256, **settings})
    images = [item.images for item in simulate(config)]
    return {name: np.stack([image[name] for image in images]) for name in images[0]}


@pytest.fixture(scope="session")
def flawless(tmp_path_factory: pytest.TempPathFactory) -> Detectors:
    """12 slices of two detectors without a fault; not to be changed."""

    def make(folder: Path) -> None:
        folder.mkdir()
        for name, pixels in simulated(12, seed=1).items():
            np.save(folder / f"{name}.npy", pixels)

    return {file.stem: np.load(file) for file in sorted(made_once(tmp_path_factory, "flawless", make).iterdir())}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Detectors], Path]:
    """Writes a folder with a folder of TIFFs for every detector."""

    def make(detectors: Detectors) -> Path:
        for name, pixels in detectors.items():
            (tmp_path / "images" / name).mkdir(parents=True)
            for z, plane in enumerate(pixels):
                tifffile.imwrite(tmp_path / "images" / name / f"s_{z:03d}.tif", plane)
        return tmp_path / "images"

    return make
