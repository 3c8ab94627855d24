"""Other samples."""

from pathlib import Path

import pytest
import tifffile

from monai_app.stack import Stack, ingest
from tests.conftest import made_once, write_tiny_sample


def upside_down(name: str, brightness: int, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The tiny sample upside down, with half the contrast."""

    def make(folder: Path) -> None:
        description = write_tiny_sample(folder / "sample")
        for path in folder.glob("sample/*/*.tif"):
            pixels = tifffile.imread(path)[::-1]
            tifffile.imwrite(path, pixels if path.parent.name == "annotations" else pixels // 2 + brightness)
        ingest(description, folder / f"{name}.ome.zarr")

    return Stack.open(made_once(tmp_path_factory, name, make) / f"{name}.ome.zarr")


@pytest.fixture(scope="package")
def brighter_stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    return upside_down("brighter", 90, tmp_path_factory)


@pytest.fixture(scope="package")
def darker_stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    return upside_down("darker", 0, tmp_path_factory)
