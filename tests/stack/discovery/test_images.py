"""A folder of images that a model is to be applied to: which images are which detector's, and what is not clear."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from monai_app.errors import ConfigError
from monai_app.stack import SampleDescription, Voxel
from monai_app.stack.discovery import discover
from monai_app.stack.discovery.images import describe_images
from monai_app.stack.ingestion.sample import check_sample
from tests.stack.samples import SampleFolder, pixels, write_folder

VOXEL = Voxel(z=20, y=10, x=5)


def write(folder: Path, *names: str, **options: Any) -> None:
    for name in names:
        write_folder(folder / name, pixels(3, 24, 20), **options)


def sources(description: SampleDescription) -> dict[str, Path]:
    return {name: entry.source for name, entry in description.detectors.items()}


def refused(folder: Path, *says: str, detectors: tuple[str, ...] = ("ICE", "TLD"), voxel: Voxel | None = VOXEL) -> None:
    with pytest.raises(ConfigError) as refusal:
        describe_images(folder, detectors, voxel)
    for text in says:
        assert text in str(refusal.value)


def test_subfolders_are_the_detectors_that_are_called_alike(tmp_path: Path) -> None:
    write(tmp_path, "tld", "ICE", "SE")
    description = describe_images(tmp_path, ("TLD", "ICE"), VOXEL)
    assert sources(description) == {"TLD": tmp_path / "tld", "ICE": tmp_path / "ICE"}
    assert list(description.detectors) == ["TLD", "ICE"]
    assert (description.voxel.z, description.voxel.y, description.voxel.x) == (20, 10, 5)
    assert check_sample(description).slices == 3


def test_an_exact_name_counts_before_one_of_another_case(tmp_path: Path) -> None:
    write(tmp_path, "Ice", "ICE")
    assert sources(describe_images(tmp_path, ("ICE",), VOXEL)) == {"ICE": tmp_path / "ICE"}
    refused(tmp_path, "subfolders ICE and Ice both", "--detector 'ice=ICE'", detectors=("ice",))


def test_subfolders_are_found_by_the_names_that_init_makes_of_them(tmp_path: Path) -> None:
    write(tmp_path, "In-Lens (B)", "SE2 detector", "images")
    names = tuple(discover([tmp_path]).detectors)
    assert names[:2] == ("In-Lens_B", "SE2_detector")
    expected = {"In-Lens_B": tmp_path / "In-Lens (B)", "SE2_detector": tmp_path / "SE2 detector"}
    assert sources(describe_images(tmp_path, names[:2], VOXEL)) == expected
    write(tmp_path, "In-Lens [B]")
    refused(tmp_path, "In-Lens (B) and In-Lens [B] both", "--detector 'In-Lens_B=In-Lens (B)'", detectors=names[:2])
    (tmp_path / "In-Lens [B]").rename(tmp_path / "In-Lens_B")
    assert sources(describe_images(tmp_path, ("In-Lens_B",), VOXEL)) == {"In-Lens_B": tmp_path / "In-Lens_B"}


def test_a_detector_may_be_read_from_any_subfolder(tmp_path: Path) -> None:
    write(tmp_path, "In-Lens (B)", "images", "Ä (1)")
    read = {"ICE": "Ä (1)", "TLD": "images", "SE": "In-Lens (B)"}
    description = describe_images(tmp_path, tuple(read.values()), VOXEL, names=tuple(read))
    assert sources(description) == {name: tmp_path / subfolder for name, subfolder in read.items()}
    assert check_sample(description).slices == 3
    refused(tmp_path, "In-Lens (B) would be read for two", detectors=("In-Lens (B)", "in-lens_b"))


def test_one_detector_may_lie_in_the_folder_itself_or_in_a_file(tmp_path: Path) -> None:
    write(tmp_path, "plain")
    assert sources(describe_images(tmp_path / "plain", ("ICE",), VOXEL)) == {"ICE": tmp_path / "plain"}
    (tmp_path / "pages").mkdir()
    pages = tmp_path / "pages" / "all.tif"
    tifffile.imwrite(pages, pixels(3, 24, 20), photometric="minisblack")
    assert sources(describe_images(tmp_path / "pages", ("ICE",), VOXEL)) == {"ICE": pages}


def test_sizes_come_from_the_files_where_they_have_them(tmp_path: Path) -> None:
    metadata = {"axes": "ZYX", **{f"PhysicalSize{axis}": size for axis, size in zip("ZYX", (20, 10, 5), strict=True)}}
    metadata |= {f"PhysicalSize{axis}Unit": "nm" for axis in "ZYX"}
    (tmp_path / "ICE").mkdir()
    tifffile.imwrite(tmp_path / "ICE" / "all.ome.tif", pixels(3, 24, 20), metadata=metadata)
    assert check_sample(describe_images(tmp_path, ("ICE",))).voxel_nm == (20, 10, 5)
    write(tmp_path, "TLD")
    refused(tmp_path, "along z, y, x", "--voxel-nm Z,Y,X", detectors=("TLD",), voxel=None)


def test_a_description_in_the_folder_decides(sample: SampleFolder) -> None:
    image = sample.images["TLD"]
    sample.detector("SE", image)
    sample.annotate({1: np.full(image.shape[1:], 7, np.uint8)}, train=[1], test=[])
    folder = sample.write().parent
    description = describe_images(folder, ("TLD", "ICE"))
    assert list(description.detectors) == ["TLD", "ICE"]
    assert description.annotations is None
    renamed = sources(describe_images(folder, ("SE", "ICE"), names=("TLD", "ICE")))
    assert renamed == {"TLD": folder / "SE", "ICE": folder / "ICE"}
    refused(folder, "--voxel-nm", "sample.yaml")
    refused(folder, "sample.yaml describes ICE, TLD, SE", "BSE", detectors=("BSE",), voxel=None)


def test_subfolders_with_images_of_another_detector_are_refused(tmp_path: Path) -> None:
    for name, recorded in (("ICE", "TLD"), ("TLD", "ICE"), ("SE", "InLens")):
        write(tmp_path, name, extratags=[(34682, "s", 0, f"[Detectors]\nName={recorded}\n", True)])
    refused(tmp_path, f"{tmp_path / 'ICE'} contains images of TLD", "swap the subfolders", "sample.yaml")
    refused(tmp_path, f"{tmp_path / 'ICE'} contains images of TLD", detectors=("ICE",))
    (tmp_path / "TLD").rename(tmp_path / "(TLD)")
    refused(tmp_path, f"{tmp_path / 'ICE'} contains images of TLD", detectors=("ICE",))
    assert sources(describe_images(tmp_path, ("SE",), VOXEL)) == {"SE": tmp_path / "SE"}  # another name of it
    refused(tmp_path / "SE", "contains images of InLens", "--detector SE=InLens", "sample.yaml", detectors=("SE",))


def test_missing_detectors_are_named(tmp_path: Path) -> None:
    write(tmp_path, "ICE", "SE")
    refused(tmp_path, "no subfolder TLD", "subfolders are ICE, SE", "--detector MODEL=SUBFOLDER", "sample.yaml")
    refused(tmp_path, "no subfolder TLD", detectors=("TLD",))


def test_a_folder_of_several_detectors_is_none_of_one(tmp_path: Path) -> None:
    for name in ("ICE", "TLD"):
        write_folder(tmp_path / "both", pixels(3, 24, 20), pattern=f"{name}_{{}}.tif")
    refused(tmp_path / "both", "must contain the images of one detector", "monai-app init", detectors=("ICE",))
    write(tmp_path, "ICE/first", "ICE/second", "TLD")
    refused(tmp_path, f"{tmp_path / 'ICE'} must contain the images of one detector", "first, second")


def test_what_a_description_would_ask_is_refused(tmp_path: Path) -> None:
    cases: dict[str, tuple[Any, dict[str, Any], str]] = {
        "float": (np.linspace(0, 1, 3 * 24 * 20, dtype=np.float32).reshape(3, 24, 20), {}, "black and white"),
        "inverted": (pixels(3, 24, 20), {"photometric": "miniswhite"}, "0 is white"),
    }
    for name, (planes, options, says) in cases.items():
        folder = tmp_path / name
        write_folder(folder, planes, **options)
        refused(folder, says, f"monai-app init {folder} -o {folder / 'sample.yaml'}", detectors=("ICE",))
    write_folder(tmp_path / "gap", pixels(5, 24, 20))
    (tmp_path / "gap" / "slice_1.tif").unlink()
    refused(tmp_path / "gap", "are missing of 0 to 4", "sample.yaml", detectors=("ICE",))
