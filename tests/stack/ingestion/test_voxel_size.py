"""The voxel size by the description and by the files."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import tifffile

from monai_app.errors import StackError
from monai_app.stack import Stack, ingest
from tests.stack.samples import SampleFolder, pixels

STACK = pixels(4, 9, 11)
SCALED: dict[str, Any] = {"resolution": (2e6, 1e6), "resolutionunit": "CENTIMETER"}
"""Pixels of 10 x 5 nm."""

nib: Any = nibabel


def of_stages(folder: Path, stages_nm: list[float]) -> None:
    """Files of a microscope with pixels of 10 x 5 nm."""
    folder.mkdir(exist_ok=True)
    for number, (plane, z) in enumerate(zip(STACK, stages_nm, strict=True)):
        text = "[Beam]\r\nScan=EScan\r\n[EScan]\r\nPixelWidth=5e-9\r\nPixelHeight=1e-8\r\n"
        text += f"[Image]\r\nResolutionX=11\r\nResolutionY=9\r\n[Stage]\r\nStageZ={0.004 + z * 1e-9:.12g}\r\n"
        tifffile.imwrite(folder / f"slice_{number}.tif", plane, extratags=[(34682, "s", 0, text, True)])


def ingested(sample: SampleFolder, voxel_nm: dict[str, float] | None, lines: list[str] | None = None) -> Stack:
    sample.content.pop("voxel_nm", None)
    sample.content |= {} if voxel_nm is None else {"voxel_nm": voxel_nm}
    told: list[str] = [] if lines is None else lines
    return ingest(sample.write(), sample.target, overwrite=True, report=told.append)


@pytest.fixture
def sample(tmp_path: Path) -> SampleFolder:
    folder = SampleFolder(tmp_path)
    folder.detector("ICE", STACK, **SCALED)
    return folder


def test_what_files_say_may_be_left_out(sample: SampleFolder) -> None:
    lines: list[str] = []
    assert ingested(sample, {"z": 20.0}, lines).voxel_nm == pytest.approx((20, 10, 5))
    assert any(line.startswith("voxel size along x: 5 nm (") for line in lines)
    assert ingested(sample, {"z": 20.0, "x": 5.04}).voxel_nm == pytest.approx((20, 10, 5.04))  # within 1 %


@pytest.mark.parametrize("voxel_nm", [None, {}, {"x": 5.0}])
def test_what_no_file_says_is_asked_for(sample: SampleFolder, voxel_nm: dict[str, float] | None) -> None:
    with pytest.raises(StackError, match=r"no file contains the voxel size along z .*'voxel_nm: \{z: \.\.\.\}'"):
        ingested(sample, voxel_nm)


def test_a_conflict_names_both_and_may_be_accepted(sample: SampleFolder) -> None:
    lines: list[str] = []
    message = r"slice_0\.tif: its voxels are 10 x 5 nm \(y, x; its resolution\) and voxel_nm is 20 x 10"
    with pytest.raises(StackError, match=message):
        ingested(sample, {"z": 20.0, "y": 20.0, "x": 10.0})
    sample.content["accept"] = ["voxel_size"]
    assert ingested(sample, {"z": 20.0, "y": 20.0, "x": 10.0}, lines).voxel_nm == (20, 20, 10)
    assert any(line.startswith("accepted: ") for line in lines)


def test_files_that_differ_are_refused(sample: SampleFolder) -> None:
    tifffile.imwrite(sample.root / "ICE" / "slice_2.tif", STACK[2], resolution=(1e6, 1e6), resolutionunit="CENTIMETER")
    with pytest.raises(StackError, match=r"slice_2\.tif .* 10 nm along x, but .*slice_0\.tif .* that they are 5 nm"):
        ingested(sample, {"z": 20.0})
    with pytest.raises(
        StackError, match=r"slice_2\.tif: its voxels are 10 nm \(x; its resolution\) and voxel_nm is 5;"
    ):
        ingested(sample, {"z": 20.0, "x": 5.0})


def test_the_distance_of_slices_by_the_stage(tmp_path: Path) -> None:
    sample = SampleFolder(tmp_path)
    sample.content["detectors"] = {"ICE": "ICE"}
    of_stages(tmp_path / "ICE", [60, 40, 20, 0])
    lines: list[str] = []
    stack = ingested(sample, None, lines)
    assert stack.voxel_nm == pytest.approx((20, 10, 5))
    assert any("20 nm" in line and "stage positions" in line for line in lines)
    assert not any("apart" in line for line in lines)
    of_stages(tmp_path / "ICE", [0, 10, 50, 60])
    assert ingested(sample, None, lines).voxel_nm[0] == pytest.approx(20)
    assert "ICE: according to the stage, slices are 10 to 40 nm apart, 20 nm on average" in lines
    with pytest.raises(StackError, match=r"its voxels are 20 nm \(z; stage positions\) and voxel_nm is 30"):
        ingested(sample, {"z": 30.0})


@pytest.mark.parametrize("stages", [[0, 0, 0, 0], [0, 20, 10, 30]], ids=["it stays", "it goes back"])
def test_a_stage_that_does_not_tell_slices_apart_says_nothing(tmp_path: Path, stages: list[float]) -> None:
    sample = SampleFolder(tmp_path)
    sample.content["detectors"] = {"ICE": "ICE"}
    of_stages(tmp_path / "ICE", stages)
    with pytest.raises(StackError, match="no file contains the voxel size along z"):
        ingested(sample, None)
    assert ingested(sample, {"z": 30.0}).voxel_nm == pytest.approx((30, 10, 5))


def test_a_missing_slice_is_no_larger_voxel(tmp_path: Path) -> None:
    sample = SampleFolder(tmp_path)
    sample.content |= {"detectors": {"ICE": "ICE"}, "numbers": {"gaps": "keep"}}
    of_stages(tmp_path / "ICE", [0, 20, 40, 80])
    (tmp_path / "ICE" / "slice_3.tif").rename(tmp_path / "ICE" / "slice_4.tif")
    lines: list[str] = []
    assert ingested(sample, None, lines).voxel_nm[0] == pytest.approx(20)
    assert not any("apart" in line for line in lines)


def test_a_unit_that_is_not_certain_is_asked_for(tmp_path: Path) -> None:
    """Many programs write micrometres, and call them mm or nothing."""
    nib.save(nib.Nifti1Image(STACK.T, np.diag((-0.005, -0.01, 0.02, 1))), tmp_path / "a.nii")
    sample = SampleFolder(tmp_path)
    sample.content["detectors"] = {"ICE": "a.nii"}
    with pytest.raises(
        StackError, match=r"along z, y, x with a reliable unit.*a\.nii says 0\.02 x 0\.01 x 0\.005 along z, y, x"
    ):
        ingested(sample, None)
    assert ingested(sample, {"x": 5.0}).voxel_nm == pytest.approx((20, 10, 5), rel=1e-5)
