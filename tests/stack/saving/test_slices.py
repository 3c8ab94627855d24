"""Labels and annotations as one image a slice: what was segmented or annotated, and no empty ones."""

import json
import logging
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from monai_app.domain.region import Rect, Region
from monai_app.errors import ConfigError, StackError, TargetExistsError
from monai_app.io import Request, open_planes
from monai_app.io.writers.tiff import phase_list
from monai_app.stack import Stack
from monai_app.stack.label_images.arrays import LABELS, Map
from monai_app.stack.saving import save, save_slices

IMAGEJ = Path("/usr/share/java/ij.jar")


@pytest.fixture
def stack(tiny_stack: Stack, tmp_path: Path) -> Stack:
    return Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_slices_that_were_not_segmented_are_not_written(
    stack: Stack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with stack.write_result("part", fingerprint={}) as result:
        for z in (2, 3):
            result.arrays.write(z, Rect.whole(stack.shape), {LABELS: np.full(stack.shape[1:], z - 1, np.uint8)})
        result.finish((2, 3))
    assert stack.label_slices("part") == [2, 3]
    save_slices(stack, tmp_path / "part", "part")
    assert names(tmp_path / "part") == ["labels.json", "slice_2.tif", "slice_3.tif"]
    assert open_planes(tmp_path / "part", Request(labels=True)).plane(1).min() == 2
    region = Region.parse("1:3", ":10", "20:", stack.shape)
    with caplog.at_level(logging.WARNING):
        save_slices(stack, tmp_path / "region", "part", region=region)
    assert names(tmp_path / "region") == ["labels.json", "slice_2.tif"]
    assert "not segmented, and without a file: slice_1" in caplog.text
    assert tifffile.imread(tmp_path / "region" / "slice_2.tif").shape == (10, stack.shape[2] - 20)
    with pytest.raises(StackError, match="none of the slices 4:6 was segmented, only 2, 3"):
        save_slices(stack, tmp_path / "none", "part", region=Region.parse("4:6", None, None, stack.shape))


def test_annotations_that_are_not_there_are_called_so(
    stack: Stack, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        save_slices(stack, tmp_path / "a", "annotation", region=Region.parse("0:2", None, None, stack.shape))
    assert caplog.messages == ["annotations: not annotated, and without a file: slice_0"]


def test_maps_are_grey(stack: Stack, tmp_path: Path) -> None:
    maps = (Map("confidence", per_phase=False), Map("probability", per_phase=True))
    values = np.random.default_rng(0).integers(0, 256, (4, *stack.shape[1:]), dtype=np.uint8)
    with stack.write_result("sure", fingerprint={}, maps=maps) as result:
        planes = {LABELS: np.ones(stack.shape[1:], np.uint8), "confidence": values[0], "probability": values[1:]}
        result.arrays.write(2, Rect.whole(stack.shape), planes)
        result.finish([2])
    for form in ("tif", "png"):
        save_slices(stack, tmp_path / form, "sure", map="confidence", form=form)
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / form / f"slice_2.{form}")), values[0])
    save_slices(stack, tmp_path / "b", "sure", map="probability", phase=stack.phases[1].name)
    with tifffile.TiffFile(tmp_path / "b" / "slice_2.tif") as tif:
        assert tif.pages.first.photometric == tifffile.PHOTOMETRIC.MINISBLACK
        np.testing.assert_array_equal(tif.asarray(), values[2])
    assert f"probability of {stack.phases[1].name}" in (tmp_path / "b" / "labels.json").read_text()


def test_tiffs_say_to_imagej_what_they_show(stack: Stack, tmp_path: Path) -> None:
    save_slices(stack, tmp_path / "a", "annotation")
    with tifffile.TiffFile(tmp_path / "a" / "slice_1.tif") as tif:
        content = tif.imagej_metadata or {}
        assert (content["unit"], content["spacing"]) == ("cm", stack.voxel_nm[0] / 1e7)
        for number, phase in enumerate(stack.phases, 1):
            assert content["Info"].splitlines()[number - 1] == f"phase {number}: {phase.name}, colour {phase.colour}"


LOOK = """
files = split(getArgument(), ";");
for (i = 0; i < files.length; i++) {
    open(files[i]); getVoxelSize(w, h, d, unit); getLut(r, g, b); n = indexOf(getMetadata("Info"), "phase 2: ");
    print(nSlices, w, h, d, r[2], g[2], b[2], n, getPixel(3, 4));
}
"""


@pytest.mark.skipif(
    not (shutil.which("xvfb-run") and IMAGEJ.is_file()), reason="needs ImageJ of Debian, and a screen (Xvfb)"
)
def test_imagej_shows_colours_and_sizes(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "look.ijm").write_text(LOOK)
    save_slices(stack, tmp_path / "a", "annotation")
    files = [tmp_path / "a" / "slice_3.tif", save(stack, tmp_path / "all.tif", "annotation")]
    command = [
        "timeout",
        "60",
        "xvfb-run",
        "-a",
        "java",
        "-cp",
        str(IMAGEJ),
        "ij.ImageJ",
        "-ijpath",
        str(tmp_path),
        "-batch",
    ]
    argument = ";".join(map(str, files))
    done = subprocess.run([*command, str(tmp_path / "look.ijm"), argument], capture_output=True, text=True, check=True)
    z, y, x = (length / 1000 for length in stack.voxel_nm)
    after = len(phase_list(stack.phases[:1])) + 1
    pixel = stack.read_annotation(3)[4, 3]
    for line, slices, value in zip(done.stdout.splitlines(), (1, stack.shape[0]), (pixel, 0), strict=True):
        expected = [slices, x, y, z, *stack.phases[1].rgb, after, value]
        assert [float(word) for word in line.split()] == pytest.approx(expected, rel=1e-3)


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
