"""Labels and annotations as one image a slice: what was segmented or annotated, and no empty ones."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monai_app.domain.region import Rect
from monai_app.errors import ConfigError, StackError, TargetExistsError
from monai_app.io import Request, open_planes
from monai_app.stack import Stack
from monai_app.stack.label_images.arrays import LABELS
from monai_app.stack.saving import save_slices


@pytest.fixture
def stack(tiny_stack: Stack, tmp_path: Path) -> Stack:
    return Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_slices_that_were_not_segmented_are_not_written(stack: Stack, tmp_path: Path) -> None:
    with stack.write_result("part", fingerprint={}) as result:
        for z in (2, 3):
            result.arrays.write(z, Rect.whole(stack.shape), {LABELS: np.full(stack.shape[1:], z - 1, np.uint8)})
        result.finish((2, 3))
    assert stack.label_slices("part") == [2, 3]
    save_slices(stack, tmp_path / "part", "part")
    assert names(tmp_path / "part") == ["labels.json", "slice_2.tif", "slice_3.tif"]
    assert open_planes(tmp_path / "part", Request(labels=True)).plane(1).min() == 2


def test_pngs_show_the_phases_and_hold_their_values(stack: Stack, tmp_path: Path) -> None:
    folder = save_slices(stack, tmp_path / "painted", "annotation", form="png")
    assert names(folder) == ["labels.json", *(f"slice_{z}.png" for z in (1, 3, 5, 6))]
    assert json.loads((folder / "labels.json").read_text())["identity"] == stack.identity
    image, labels = Image.open(folder / "slice_3.png"), stack.read_annotation(3)
    np.testing.assert_array_equal(np.asarray(image), labels)
    table = np.array([(0, 0, 0), *(phase.rgb for phase in stack.phases)], np.uint8)
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), table[labels])
    file = open_planes(folder, Request(labels=True)).files[0]
    assert file.recorded.voxel_nm[1:] == pytest.approx((10, 10))


def test_what_is_there_or_not_there_is_refused(stack: Stack, tmp_path: Path) -> None:
    save_slices(stack, tmp_path / "a", "annotation")
    with pytest.raises(TargetExistsError):
        save_slices(stack, tmp_path / "a", "annotation")
    save_slices(stack, tmp_path / "a", "annotation", form="png", overwrite=True)
    assert "slice_1.png" in names(tmp_path / "a")
    assert "slice_1.tif" not in names(tmp_path / "a")
    with pytest.raises(ConfigError, match="lies in the store"):
        save_slices(stack, stack.path / "a", "annotation")
    with pytest.raises(StackError, match="no finished label image 'net'"):
        save_slices(stack, tmp_path / "b", "net")
    stack.roles = {}
    with pytest.raises(StackError, match="has no annotations"):
        save_slices(stack, tmp_path / "b", "annotation")
    assert not (tmp_path / "b").exists()
