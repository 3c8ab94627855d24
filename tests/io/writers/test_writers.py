"""Writers of single formats: memory, and what a format cannot hold."""

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk  # noqa: N813  # what its documentation calls it
import tifffile

from monai_app.domain.phase import Phase
from monai_app.errors import StackError
from monai_app.io.grid import Grid
from monai_app.io.writers.content import Content
from monai_app.io.writers.mrc import write_mrc
from monai_app.io.writers.nifti import write_nifti
from monai_app.io.writers.nrrd import write_nrrd, write_seg_nrrd
from monai_app.io.writers.registry import WRITERS, Writer, writer_of
from monai_app.io.writers.tiff import write_tiff

SLICES, SIDE = 30, 8


def content(planes: Iterator[npt.NDArray[Any]] | None = None, slices: int = SLICES, **others: Any) -> Content:
    grid = Grid((slices, SIDE, SIDE), (0.02, 0.01, 0.01))
    planes = (np.full((SIDE, SIDE), z, np.uint8) for z in range(slices)) if planes is None else planes
    return Content(grid.shape, np.dtype(np.uint8), planes, grid.affine, **{"phases": (), **others})


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.name)
def test_planes_are_written_one_after_the_other(tmp_path: Path, writer: Writer) -> None:
    """So memory does not grow with their number."""
    made: list[weakref.ref[npt.NDArray[np.uint8]]] = []

    def planes() -> Iterator[npt.NDArray[np.uint8]]:
        for z in range(SLICES):
            plane = np.full((SIDE, SIDE), z, np.uint8)
            made.append(weakref.ref(plane))
            assert sum(each() is not None for each in made) <= 3
            yield plane

    writer.write(tmp_path / f"file{writer.suffixes[0]}", content(planes()))
    assert len(made) == SLICES


def test_the_longest_suffix_counts() -> None:
    names = {"a.ome.tif": "OME-TIFF", "a.TIF": "TIFF", "a.seg.nrrd": "3D Slicer segmentation", "a.b.nrrd": "NRRD"}
    assert {name: writer_of(Path(name)).name for name in names} == names


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="only NIfTI may have detectors"):
        write_nrrd(tmp_path / "a.nrrd", content(channels=2))
    with pytest.raises(StackError, match="holds labels"):
        write_seg_nrrd(tmp_path / "a.seg.nrrd", content(phases=None, title="a map"))
    with pytest.raises(StackError, match="32767"):
        write_nifti(tmp_path / "a.nii", content(slices=32768))
    wide = Content((1, 2, 2), np.dtype(np.int32), iter(()), np.eye(4))
    with pytest.raises(StackError, match="int32"):
        write_mrc(tmp_path / "a.mrc", wide)


def test_names_of_segments_are_one_line_each(tmp_path: Path) -> None:
    phases = (Phase(value=1, name="a\\b", rgb=(0, 0, 0)),)
    write_seg_nrrd(tmp_path / "a.seg.nrrd", content(phases=phases))
    assert rb"Segment0_Name:=a\\b" in (tmp_path / "a.seg.nrrd").read_bytes()
    assert sitk.ReadImage(tmp_path / "a.seg.nrrd").GetSize() == (SIDE, SIDE, SLICES)


def test_large_stacks_are_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tiff(tmp_path / "small.tif", content())
    monkeypatch.setattr("monai_app.io.writers.tiff._CLASSIC", 100)
    write_tiff(tmp_path / "large.tif", content())
    for name, large in (("small.tif", False), ("large.tif", True)):
        with tifffile.TiffFile(tmp_path / name) as tif:
            assert tif.is_bigtiff is large
            assert tif.asarray()[:, 0, 0].tolist() == list(range(SLICES))
