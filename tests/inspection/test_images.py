"""What can be inspected: stores, descriptions, folders and files."""

import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile

from monai_app.errors import StackError
from monai_app.inspection import Images, inspect, open_images
from monai_app.inspection.images import stored
from monai_app.inspection.labels import count_labels, per_role
from monai_app.stack import Stack, ingest
from tests.conftest import write_tiny_sample


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    return write_tiny_sample(tmp_path / "sample")


def pixels(images: Images) -> dict[str, np.ndarray]:
    planes = list(images.planes())
    return {name: np.stack([each[name] for each in planes]) for name in images.detectors}


def expected(sample: Path, detector: str = "ICE") -> np.ndarray:
    return np.stack([tifffile.imread(sample.parent / detector / f"slice_{z}.tif") for z in range(8)])


def test_a_store_a_description_and_its_folder_show_the_same(tiny_stack: Stack, sample: Path) -> None:
    opened = [open_images(path) for path in (tiny_stack.path, sample, sample.parent)]
    for images in opened:
        for name, found in pixels(images).items():
            np.testing.assert_array_equal(found, expected(sample, name))
            np.testing.assert_array_equal(images.detectors[name].plane(5), found[5])
        assert images.roles == {1: "train", 3: "train", 5: "train", 6: "test"}
        assert images.voxel_nm == (20, 10, 10)
        assert count_labels(images) == count_labels(opened[0])
        assert list(images.names) == [f"slice_{z}" for z in range(8)]


def test_labelled_pixels_are_counted_per_phase_and_role(sample: Path) -> None:
    counts = count_labels(open_images(sample))
    labels = {z: tifffile.imread(sample.parent / "annotations" / f"slice_{z}.tif") for z in (1, 3, 5, 6)}
    assert [(count.z, count.role) for count in counts] == [(1, "train"), (3, "train"), (5, "train"), (6, "test")]
    for count in counts:
        assert list(count.pixels.values()) == [int((labels[count.z] == value).sum()) for value in (1, 2, 3)]
        assert count.unlabelled == (labels[count.z] == 0).sum()
    assert per_role(counts)["train"]["hydrate"] == sum(int((labels[z] == 2).sum()) for z in (1, 3, 5))


def test_folders_of_detectors_one_folder_and_one_file_need_no_description(sample: Path) -> None:
    for path in (sample, sample.parent / "annotations"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert list(open_images(sample.parent).detectors) == ["ICE", "TLD"]
    np.testing.assert_array_equal(pixels(open_images(sample.parent / "TLD"))["TLD"], expected(sample, "TLD"))
    tifffile.imwrite(sample.parent / "whole.tif", expected(sample))
    np.testing.assert_array_equal(pixels(open_images(sample.parent / "whole.tif"))["whole"], expected(sample))
    volume = nibabel.Nifti1Image(expected(sample).transpose(2, 1, 0), np.diag([-1.0, -1.0, 1.0, 1.0]))
    nibabel.save(volume, sample.parent / "whole.nii.gz")
    np.testing.assert_array_equal(pixels(open_images(sample.parent / "whole.nii.gz"))["whole"], expected(sample))


@pytest.mark.parametrize(("said", "gaps", "missing"), [("refuse", (3,), "3"), ("keep", (3,), ""), ("ignore", (), "")])
def test_missing_slices_are_a_finding_unless_the_description_tells_of_them(
    said: str, gaps: tuple[int, ...], missing: str, sample: Path
) -> None:
    for detector in ("ICE", "TLD"):
        (sample.parent / detector / "slice_3.tif").unlink()
    (sample.parent / "annotations" / "slice_3.tif").unlink()
    text = sample.read_text().replace("[1, 3, 5]", "[slice_1, slice_5]").replace("[6]", "[slice_6]")
    sample.write_text(f"{text}\nnumbers: {{gaps: {said}}}\n")
    images = open_images(sample)
    assert (images.gaps, images.missing) == (gaps, missing)


@pytest.mark.parametrize("said", ["breaks: [3]", "independent: true"])
def test_what_a_description_says_of_series_is_no_finding(said: str, sample: Path) -> None:
    for detector in ("ICE", "TLD"):
        (sample.parent / detector / "slice_3.tif").unlink()
    (sample.parent / "annotations" / "slice_3.tif").unlink()
    text = sample.read_text().replace("[1, 3, 5]", "[slice_1, slice_5]").replace("[6]", "[slice_6]")
    sample.write_text(f"{text}\n{said}\n")
    assert open_images(sample).missing == ""


def test_an_overview_knows_how_large_its_pixels_are(tmp_path: Path) -> None:
    (tmp_path / "ICE").mkdir()
    rows = np.arange(1200)[:, None] + np.zeros((1, 900))
    tifffile.imwrite(tmp_path / "ICE" / "s_0.tif", (rows / 5).astype(np.uint8))
    (tmp_path / "s.yaml").write_text("name: s\nvoxel_nm: {z: 1, y: 1, x: 1}\ndetectors: {ICE: ICE}\n")
    images = stored(ingest(tmp_path / "s.yaml", tmp_path / "s.ome.zarr"), overview=True)
    (plane,) = images.detectors["ICE"].planes()
    assert plane.shape[0] * images.pixel == pytest.approx(1200, abs=images.pixel)
    assert images.pixel == 8


def test_folders_that_show_nothing_or_do_not_agree_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty" / "inner").mkdir(parents=True)
    for path, text in ((tmp_path / "empty", "holds no images"), (tmp_path / "none", "does not exist")):
        with pytest.raises(StackError, match=text):
            open_images(path)
    tifffile.imwrite(tmp_path / "empty" / "inner" / "a1.tif", np.zeros((9, 9), np.uint8))
    (tmp_path / "empty" / "other").mkdir()
    for z in (1, 2):
        tifffile.imwrite(tmp_path / "empty" / "other" / f"a{z}.tif", np.zeros((9, 9), np.uint8))
    with pytest.raises(StackError, match="detectors inner and other"):
        open_images(tmp_path / "empty")


def test_a_store_that_is_replaced_while_it_is_looked_at_is_refused(tmp_path: Path) -> None:
    sample = write_tiny_sample(tmp_path / "sample")
    stack = ingest(sample, tmp_path / "a.ome.zarr")
    images = open_images(stack.path)

    def replace(done: int, total: int) -> None:
        if done == total:
            pixels = tifffile.imread(tmp_path / "sample" / "ICE" / "slice_0.tif")
            tifffile.imwrite(tmp_path / "sample" / "ICE" / "slice_0.tif", pixels[::-1])
            ingest(sample, stack.path, overwrite=True)

    with pytest.raises(StackError, match="was replaced or annotated while it was read"):
        inspect(images, progress=replace)
