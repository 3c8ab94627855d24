"""Finished labels as TIFFs, whole or not at all."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from monai_app.errors import StackError, TargetExistsError
from monai_app.inference import check_export, export_tiff
from monai_app.io import Request, open_planes
from monai_app.stack import Phase, Stack


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


def test_other_programs_see_the_size_of_a_pixel_and_the_colours(stack: Stack, tmp_path: Path) -> None:
    """Also where the stack itself has no phases: those of the labels count."""
    phases = (Phase(value=1, name="a", rgb=(255, 0, 0)), Phase(value=2, name="b", rgb=(0, 0, 9)))
    planes = (np.full(stack.shape[1:], 1 + z % 2, np.uint8) for z in range(stack.shape[0]))
    stack.write_labels("net", planes, phases=phases)
    export_tiff(str(stack.path), "net", str(tmp_path / "tiff"))
    files = sorted((tmp_path / "tiff").glob("*.tif"))
    with tifffile.TiffFile(files[1]) as tif:
        page = tif.pages.first
        assert page.get_resolution("micrometer") == pytest.approx([1000 / stack.voxel_nm[axis] for axis in (2, 1)])
        assert page.colormap is not None
        np.testing.assert_array_equal(page.colormap[:, :3] // 257, [[0, 255, 0], [0, 0, 0], [0, 0, 9]])
        np.testing.assert_array_equal(page.asarray(), stack.read_labels("net", 1))
    assert Image.open(files[1]).convert("RGB").getpixel((0, 0)) == (0, 0, 9)
    again = open_planes(tmp_path / "tiff", Request(labels=True))
    np.testing.assert_array_equal(again.plane(0), stack.read_labels("net", 0))
    assert again.files[0].recorded.voxel_nm == pytest.approx(stack.voxel_nm)
