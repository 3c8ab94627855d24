"""A stack holds what its sample's files hold, and says which files they were."""

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import tifffile
from typer.testing import CliRunner

from monai_app.cli import app
from monai_app.errors import StackError
from monai_app.stack import Stack, annotate, ingest
from monai_app.stack.comparison import compare_with_source
from monai_app.stack.ingestion import inputs
from monai_app.stack.metadata import read_metadata
from tests.stack.samples import SampleFolder, edit_own, label_plane, pixels


@pytest.fixture
def stack(sample: SampleFolder) -> Stack:
    return ingest(sample.write(), sample.target)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_stacks_record_their_files(stack: Stack, sample: SampleFolder) -> None:
    recorded = read_metadata(stack.path).inputs
    files = [path for name in ("ICE", "TLD", "annotations") for path in (sample.root / name).iterdir()]
    assert recorded == {f"{path.parent.name}/{path.name}": sha256(path) for path in files}


def test_a_folder_of_many_files_has_one_hash_as_sha256sum_lists_them(
    sample: SampleFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "_MOST", 3)
    stack = ingest(sample.write(), sample.target)
    names = sorted(path.name for path in (sample.root / "ICE").iterdir())
    listed = "".join(f"{sha256(sample.root / 'ICE' / name)}  {name}\n" for name in names)
    recorded = read_metadata(stack.path).inputs
    assert recorded["ICE/"] == hashlib.sha256(listed.encode()).hexdigest()
    assert len(recorded) == 2 + 3
    assert compare_with_source(stack.path, sample.write()).notes[0].endswith("(SHA-256 of 5)")


def test_a_header_with_its_pixels_beside_it_are_two_files(tmp_path: Path) -> None:
    sample = SampleFolder(tmp_path)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(pixels(3, 8, 9)), tmp_path / "ice.mhd")
    sample.content["detectors"] = {"ICE": "ice.mhd"}
    stack = ingest(sample.write(), sample.target)
    assert set(read_metadata(stack.path).inputs) == {"ice.mhd", "ice.raw"}


def test_a_file_that_is_replaced_while_it_is_read_is_noticed(sample: SampleFolder) -> None:
    path = sample.root / "ICE" / "slice_4.tif"

    def replace(done: int, total: int) -> None:
        if done == 2:
            tifffile.imwrite(path, pixels(1, 20, 33, seed=99)[0])
            os.utime(path, ns=(1, 1))

    with pytest.raises(StackError, match=r"slice_4\.tif was replaced while it was read"):
        ingest(sample.write(), sample.target, progress=replace)
    assert not sample.target.exists()


def test_a_stack_is_what_its_files_are(stack: Stack, sample: SampleFolder) -> None:
    found = compare_with_source(stack.path, sample.write())
    assert (found.faults, found.notes) == ([], ["the files are those that were ingested (SHA-256 of 27)"])


def test_the_first_slice_that_differs_is_named(stack: Stack, sample: SampleFolder) -> None:
    for z in (4, 7):
        plane = sample.images["TLD"][z].copy()
        plane[3, 5] ^= 1
        tifffile.imwrite(sample.root / "TLD" / f"slice_{z}.tif", plane)
    found = compare_with_source(stack.path, sample.write())
    (fault,) = found.faults
    assert f"TLD, slice 4 (slice_4): 1 of {plane.size} pixels differ, the first at row 3, column 5" in fault
    assert fault.endswith("2 of 12 slices differ")
    assert found.notes == ["files are not, byte for byte, those that were ingested: TLD/slice_4.tif and 1 more"]


def test_files_written_again_are_the_same_pixels_and_other_bytes(stack: Stack, sample: SampleFolder) -> None:
    tifffile.imwrite(sample.root / "ICE" / "slice_0.tif", sample.images["ICE"][0], compression="zlib")
    found = compare_with_source(stack.path, sample.write())
    assert (found.faults, len(found.notes)) == ([], 1)
    assert "byte for byte" in found.notes[0]


def test_labels_and_their_meaning_are_compared(stack: Stack, sample: SampleFolder) -> None:
    tifffile.imwrite(sample.root / "annotations" / "slice_5.tif", label_plane(20, 33, 99))
    sample.content["phases"][0]["name"] = "void"
    sample.content["annotations"]["mapping"] = {0: "void", 7: "hydrate"}
    sample.content["voxel_nm"]["z"] = 21.0
    faults = "\n".join(compare_with_source(stack.path, sample.write()).faults)
    for part in ("annotation of slice 5 (slice_5): ", "{1: 'pore', 2: 'hydrate'} in the stack", "(20.0, 10.0, 5.0)"):
        assert part in faults


def test_annotations_of_later_are_no_difference(stack: Stack, sample: SampleFolder) -> None:
    annotate(stack, {5: np.ones((20, 33), np.uint8), 7: np.ones((20, 33), np.uint8)})
    assert compare_with_source(stack.path, sample.write()).faults == []


def test_another_sample_is_told_by_its_shape(stack: Stack, sample: SampleFolder) -> None:
    shutil.rmtree(sample.root / "TLD")
    del sample.content["detectors"]["TLD"]
    (fault,) = compare_with_source(stack.path, sample.write()).faults
    assert "detectors: ('ICE', 'TLD') in the stack and ('ICE',) by" in fault


def test_stacks_of_earlier_versions_have_no_hashes(stack: Stack, sample: SampleFolder) -> None:
    edit_own(stack.path / "zarr.json", lambda own: own.pop("inputs"), renewed=True)
    found = compare_with_source(stack.path, sample.write())
    assert found.faults == []
    assert "was not recorded" in found.notes[0]


def test_the_command(stack: Stack, sample: SampleFolder) -> None:
    words = ["verify", str(stack.path), "--source", str(sample.write())]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "the files are those that were ingested (SHA-256 of 27)\nok" in result.output
    tifffile.imwrite(sample.root / "ICE" / "slice_3.tif", sample.images["ICE"][4])
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "ICE, slice 3 (slice_3)" in result.output
