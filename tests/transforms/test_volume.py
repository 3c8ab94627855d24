"""Volumes written by other programs, and by us, as tensors of a stack's pixels."""

import tempfile
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk  # noqa: N813  # its usual name
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor, NibabelReader

from monai_app.errors import StackError
from monai_app.io import Grid, write_volume
from monai_app.stack import Stack
from monai_app.transforms import LoadSlabd, LoadVolumed
from tests.specs import normaliser, spec_of

Pixels = npt.NDArray[np.integer]
TO_RAS = np.diag((-1.0, -1.0, 1.0, 1.0))
AFFINE = TO_RAS @ np.array([[0.01, 0, 0, 1], [0, 0.01, 0, 2], [0, 0, 0.02, 3], [0, 0, 0, 1]])


def with_nibabel(path: Path, pixels: Pixels, affine: npt.NDArray[np.float64] = AFFINE) -> None:
    """Write (z, y, x) or (z, y, x, C) with axes x, y, z in the file."""
    nibabel.save(nibabel.Nifti1Image(pixels.transpose(2, 1, 0, *range(3, pixels.ndim)), affine), path)


def with_itk(path: Path, pixels: Pixels) -> None:
    image = sitk.GetImageFromArray(pixels)
    image.SetSpacing((0.01, 0.01, 0.02))
    image.SetOrigin((1, 2, 3))
    sitk.WriteImage(image, path)


def with_our_own(path: Path, pixels: Pixels) -> None:
    write_volume(path, pixels, Grid(pixels.shape[:3], (0.02, 0.01, 0.01), (3, 2, 1)))


def pixels_of(stack: Stack, name: str) -> Pixels:
    return np.stack([stack.read_slab(z, [name], 1)[0] for z in range(stack.shape[0])])


def loaded(path: Path, detectors: Sequence[str], dtype: str = "uint8") -> MetaTensor:
    volume = LoadVolumed("image", spec_of(detectors, 1, dtype=dtype))({"image": str(path)})["image"]
    assert isinstance(volume, MetaTensor)
    return volume


def assert_is(volume: MetaTensor, *detectors: Pixels) -> None:
    """A volume (C, X, Y, Z) holds these (z, y, x)."""
    assert volume.dtype == torch.float32
    np.testing.assert_array_equal(volume.numpy(), np.stack([pixels.T for pixels in detectors]))
    assert tuple(volume.meta["spatial_shape"]) == detectors[0].shape[::-1]
    assert (volume.affine.numpy() == volume.meta["original_affine"]).all()


WRITERS = [
    pytest.param(write, suffix, id=f"{write.__name__} {suffix}")
    for write in (with_nibabel, with_itk, with_our_own)
    for suffix in (".nii.gz", ".nii", ".nrrd")
    if (write, suffix) != (with_nibabel, ".nrrd")
]


@pytest.mark.parametrize(("write", "suffix"), WRITERS)
def test_a_case_and_its_partner_are_the_stack(
    write: Callable[[Path, Pixels], None], suffix: str, tiny_stack: Stack, tmp_path: Path
) -> None:
    ice, tld = (pixels_of(tiny_stack, name) for name in ("ICE", "TLD"))
    (tmp_path / "TLD").mkdir()
    case = tmp_path / f"case{suffix}"
    write(case, ice)
    write(tmp_path / "TLD" / case.name, tld)
    volume = loaded(case, ["ICE", "TLD"])
    assert_is(volume, ice, tld)
    np.testing.assert_allclose(volume.affine.numpy(), AFFINE, atol=1e-6)
    assert_is(loaded(case, ["TLD", "ICE"]), tld, ice)
    assert_is(loaded(case, ["ICE"]), ice)
    assert_is(loaded(case, ["TLD"]), tld)


@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_pixels_and_affine_are_those_that_monai_reads(data: st.DataObject) -> None:
    """Axes as in the file, whatever way they run."""
    shape = [data.draw(st.integers(2, 5)) for _ in range(3)]
    detectors = data.draw(st.integers(1, 3))
    signs, sizes = ([data.draw(st.sampled_from(each)) for _ in range(3)] for each in ([1.0, -1.0], [0.01, 0.5, 3.0]))
    affine = np.diag([*(s * t for s, t in zip(signs, sizes, strict=True)), 1.0])
    affine[:3, 3] = [data.draw(st.integers(-9, 9)) for _ in range(3)]
    pixels = np.random.default_rng(0).integers(0, 65535, (*shape, detectors), dtype=np.uint16)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.nii"
        with_nibabel(path, pixels if detectors > 1 else pixels[..., 0], affine)
        volume = loaded(path, [f"D{n}" for n in range(detectors)], "uint16")
        reader = NibabelReader()
        theirs, meta = reader.get_data(reader.read(path))
    assert_is(volume, *np.moveaxis(pixels, 3, 0))
    np.testing.assert_array_equal(np.moveaxis(volume.numpy(), 0, 3).reshape(theirs.shape), theirs)
    np.testing.assert_allclose(volume.affine.numpy(), meta["affine"], rtol=1e-6)
    assert tuple(volume.meta["spatial_shape"]) == tuple(meta["spatial_shape"])


def test_a_slab_of_a_volume_is_scaled_as_that_of_a_stack(tiny_stack: Stack, tmp_path: Path) -> None:
    names = ["ICE", "TLD"]
    with_nibabel(tmp_path / "both.nii", np.stack([pixels_of(tiny_stack, name) for name in names], axis=-1))
    spec = spec_of(names, 1, scaling={"ICE": {"mean": 50, "std": 7}, "TLD": {"mean": 9, "std": 3}})
    volume = normaliser(spec)(LoadVolumed("image", spec)({"image": str(tmp_path / "both.nii")})["image"])
    assert isinstance(volume, MetaTensor)
    assert "spatial_shape" in volume.meta
    for z in (0, 5):
        item: dict[Hashable, Any] = {"image": str(tiny_stack.path), "z": z}
        slab = normaliser(spec)(LoadSlabd("image", spec)(item)["image"])
        assert torch.equal(volume[..., z].mT, slab)


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """A case of ICE and TLD, 4 slices of 3 rows and 2 columns."""
    (tmp_path / "TLD").mkdir()
    for path in (tmp_path / "case.nii", tmp_path / "TLD" / "case.nii"):
        with_nibabel(path, np.zeros((4, 3, 2), np.uint8))
    return tmp_path / "case.nii"


def partner(pixels: Pixels, affine: npt.NDArray[np.float64] = AFFINE) -> Callable[[Path], None]:
    return lambda case: with_nibabel(case.parent / "TLD" / case.name, pixels, affine)


def without_folder(case: Path) -> None:
    (case.parent / "TLD" / case.name).unlink()
    (case.parent / "TLD").rmdir()


ZEROS = np.zeros((4, 3, 2), np.uint8)
SHIFTED = AFFINE + np.outer([1, 0, 0, 0], [0, 0, 0, 0.005])
TURNED = AFFINE @ np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
REFUSED: list[tuple[Callable[[Path], None], str]] = [
    (lambda case: (case.parent / "TLD" / case.name).unlink(), r"TLD/case\.nii is not there: .* TLD .*; put it there"),
    (without_folder, r"case\.nii can be the volume of one detector only.* for ICE nor for TLD: put .*TLD/case\.nii"),
    (lambda case: case.unlink(), r"case\.nii does not exist"),
    (partner(ZEROS.astype(np.uint16)), r"TLD/case\.nii are uint16, but the model was trained on uint8"),
    (partner(ZEROS[:, :2]), r"TLD/case\.nii has 2 x 2 x 4 voxels and .*case\.nii 2 x 3 x 4: .* one shape"),
    (partner(ZEROS, SHIFTED), r"TLD/case\.nii lies 0\.5 voxels beside"),
    (partner(ZEROS, np.diag((-1, 1, 1, 1)) @ AFFINE), r"TLD/case\.nii lies \d.* voxels beside"),
    (lambda case: with_nibabel(case, ZEROS, TURNED), r"case\.nii run along y, x, z: they must be columns, rows"),
    (
        lambda case: with_nibabel(case, np.zeros((4, 3, 2, 3), np.uint8)),
        r"has 3 channels and the model 2 detectors \(ICE, TLD\): .* in this order; write",
    ),
]


@pytest.mark.parametrize(("damage", "message"), REFUSED)
def test_what_does_not_fit_the_model_is_refused(case: Path, damage: Callable[[Path], None], message: str) -> None:
    assert loaded(case, ["ICE", "TLD"]).shape == (2, 2, 3, 4)
    damage(case)
    with pytest.raises(StackError, match=message):
        loaded(case, ["ICE", "TLD"])


def test_a_missing_partner_is_no_other_detector(case: Path) -> None:
    """A model of TLD must not take the ICE of a case whose TLD is lost, as long as there is a folder for TLD."""
    (case.parent / "TLD" / case.name).unlink()
    with pytest.raises(StackError, match="of detector TLD"):
        loaded(case, ["TLD"])


def test_one_file_with_several_channels_is_no_case_of_one_detector(case: Path) -> None:
    with_nibabel(case, np.zeros((4, 3, 2, 2), np.uint8))
    with pytest.raises(StackError, match=r"has 2 channels and the model 1 detector \(TLD\)"):
        loaded(case, ["TLD"])
