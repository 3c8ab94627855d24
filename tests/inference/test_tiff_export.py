"""Finished labels as TIFFs, whole or not at all."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from monai_app.errors import StackError, TargetExistsError
from monai_app.inference import check_export, export_tiff
from monai_app.stack import Stack


@pytest.fixture
def stack(tiny_stack: Stack, tmp_path: Path) -> Stack:
    shutil.copytree(tiny_stack.path, tmp_path / "own.ome.zarr")
    return Stack.open(tmp_path / "own.ome.zarr")


def write(stack: Stack) -> None:
    stack.write_labels("net", (np.full(stack.shape[1:], 1 + z % 2, np.uint8) for z in range(stack.shape[0])))


def test_export_refuses_what_is_not_there_or_in_the_way(stack: Stack, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="'net'"):
        export_tiff(str(stack.path), "net", str(tmp_path / "tiff"))
    assert not (tmp_path / "tiff").exists()
    write(stack)
    export_tiff(str(stack.path), "net", str(tmp_path / "tiff"))
    for refuse in (export_tiff, lambda _, __, folder: check_export(folder, overwrite=False)):
        with pytest.raises(TargetExistsError):
            refuse(str(stack.path), "net", str(tmp_path / "tiff"))
    check_export(str(tmp_path / "tiff"), overwrite=True)
