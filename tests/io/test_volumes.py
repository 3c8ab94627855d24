"""Volumes as nibabel, SimpleITK and pynrrd read and write them, and labels placed by their geometry."""

import contextlib
import gzip
import itertools
import struct
import tracemalloc
from pathlib import Path

import nibabel
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813  # what its documentation calls it
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from monai_app.errors import AnnotationError, StackError
from monai_app.io import (
    Extent,
    Grid,
    Volume,
    check_labels,
    on_grid,
    read_header,
    read_volume,
    volume,
    write_volume,
)

GRID = Grid((3, 7, 5), (0.02, 0.013, 0.01), (0.14, 0.5, -0.25))
FORMATS = (".nii.gz", ".nii", ".nrrd")
L_MARK = [(1, 2, 0), (1, 3, 0), (1, 4, 0), (2, 4, 0), (3, 4, 2)]
"""An L in x, y, z, with a pixel on another slice."""


def some_pixels(shape: tuple[int, ...], dtype: str = "uint16", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype)


def marked() -> np.ndarray:
    labels = np.zeros(GRID.shape, np.uint8)
    for n, (x, y, z) in enumerate(L_MARK, 1):
        labels[z, y, x] = n
    return labels


def to_ras(grid: Grid) -> np.ndarray:
    return np.diag((-1.0, -1.0, 1.0, 1.0)) @ grid.affine


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_other_programs_see_the_pixels_where_they_are(tmp_path: Path, suffix: str, dtype: str) -> None:
    path, pixels = tmp_path / f"case{suffix}", some_pixels(GRID.shape, dtype)
    write_volume(path, pixels, GRID)
    image = sitk.ReadImage(path)
    assert image.GetSize() == (5, 7, 3)
    np.testing.assert_allclose(image.GetSpacing(), (0.01, 0.013, 0.02), rtol=1e-6)
    np.testing.assert_allclose(image.GetOrigin(), (-0.25, 0.5, 0.14), rtol=1e-6)
    np.testing.assert_allclose(image.GetDirection(), np.eye(3).ravel(), atol=1e-12)
    assert image.GetPixel(4, 6, 2) == pixels[2, 6, 4]
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), pixels)
    if suffix == ".nrrd":
        data, header = nrrd.read(str(path))
        assert header["space units"] == ["um"] * 3
        np.testing.assert_array_equal(data.T, pixels)
    else:
        loaded = nibabel.Nifti1Image.from_filename(path)
        assert loaded.header.get_xyzt_units()[0] == "unknown"
        assert b"micrometres" in loaded.header["descrip"].item()
        np.testing.assert_allclose(loaded.affine, to_ras(GRID), rtol=1e-6)
        np.testing.assert_allclose(loaded.get_qform(), loaded.get_sform(), atol=1e-7)
        np.testing.assert_array_equal(np.asanyarray(loaded.dataobj).T, pixels)
    volume = read_volume(path)
    assert volume.pixels.dtype == dtype
    np.testing.assert_array_equal(volume.pixels, pixels)
    np.testing.assert_allclose(volume.affine, GRID.affine, rtol=1e-6)


@pytest.mark.parametrize("suffix", FORMATS[:2])
def test_detectors_are_the_fourth_axis_of_nifti(tmp_path: Path, suffix: str) -> None:
    path, pixels = tmp_path / f"case{suffix}", some_pixels((*GRID.shape, 2))
    write_volume(path, pixels, GRID)
    np.testing.assert_array_equal(
        np.asanyarray(nibabel.Nifti1Image.from_filename(path).dataobj), pixels.transpose(2, 1, 0, 3)
    )
    assert read_header(path).shape == (5, 7, 3, 2)
    np.testing.assert_array_equal(read_volume(path).pixels, pixels)
    with pytest.raises(AnnotationError, match="must have three axes"):
        on_grid(read_volume(path), GRID)


@pytest.mark.parametrize("suffix", FORMATS)
def test_equal_pixels_are_equal_bytes_and_nothing_is_left_behind(tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / name / f"case{suffix}" for name in "ab"]
    for path in paths:
        write_volume(path, some_pixels(GRID.shape), GRID)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert [path.name for path in tmp_path.glob("a/*")] == [f"case{suffix}"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_mark_painted_by_index_lands_on_its_pixel(tmp_path: Path, suffix: str) -> None:
    write_volume(tmp_path / f"image{suffix}", some_pixels(GRID.shape), GRID)
    image = sitk.ReadImage(tmp_path / f"image{suffix}")
    labels = sitk.Image(image.GetSize(), sitk.sitkUInt8)
    labels.CopyInformation(image)
    for n, (x, y, z) in enumerate(L_MARK, 1):
        labels.SetPixel(x, y, z, n)
    sitk.WriteImage(labels, tmp_path / f"labels{suffix}", useCompression=True)
    np.testing.assert_array_equal(on_grid(read_volume(tmp_path / f"labels{suffix}"), GRID), marked())


def test_a_mark_painted_with_nibabel_lands_on_its_pixel(tmp_path: Path) -> None:
    write_volume(tmp_path / "image.nii.gz", some_pixels(GRID.shape), GRID)
    image = nibabel.Nifti1Image.from_filename(tmp_path / "image.nii.gz")
    labels = np.zeros(image.shape, np.uint8)
    for n, index in enumerate(L_MARK, 1):
        labels[index] = n
    nibabel.save(nibabel.Nifti1Image(labels, image.affine, image.header), tmp_path / "labels.nii.gz")
    np.testing.assert_array_equal(on_grid(read_volume(tmp_path / "labels.nii.gz"), GRID), marked())


def _random_labels(draw: st.DrawFn) -> tuple[Grid, np.ndarray]:
    shape = draw(st.tuples(*(st.integers(1, 5) for _ in range(3))))
    spacing = draw(st.tuples(*(st.floats(0.003, 3) for _ in range(3))))
    origin = draw(st.tuples(*(st.integers(-2000, 2000) for _ in range(3))))
    grid = Grid(shape, spacing, tuple(n * size for n, size in zip(origin, spacing, strict=True)))
    labels = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 4, shape, np.uint8)
    return grid, labels


Turned = tuple[Grid, np.ndarray, np.ndarray, np.ndarray]


@st.composite
def turned(draw: st.DrawFn) -> Turned:
    """A grid, labels on it, and the same labels (x, y, z) with axes turned and edges moved, and their affine."""
    grid, labels = _random_labels(draw)
    pixels, affine = labels.transpose(2, 1, 0), grid.affine
    moves = [draw(st.integers(-2, length - 1)) for length in pixels.shape]
    for axis, move in enumerate(moves):
        np.moveaxis(pixels, axis, 0)[: max(move, 0)] = 0  # what is cropped is blank
    pixels = np.pad(pixels[tuple(slice(max(move, 0), None) for move in moves)], [(max(-move, 0), 1) for move in moves])
    affine[:3, 3] = (affine @ (*moves, 1))[:3]
    order = draw(st.permutations(range(3)))
    pixels, affine = pixels.transpose(order), affine[:, [*order, 3]]
    for axis in range(3):
        if draw(st.booleans()):
            pixels = np.flip(pixels, axis)
            affine = affine.copy()
            affine[:, 3] += affine[:, axis] * (pixels.shape[axis] - 1)
            affine[:, axis] *= -1
    return grid, labels, pixels, affine


@given(case=turned(), writer=st.sampled_from(["nibabel", "nibabel qform", "nibabel float", "SimpleITK", "pynrrd"]))
def test_labels_come_back_to_their_pixels(tmp_path_factory: pytest.TempPathFactory, case: Turned, writer: str) -> None:
    grid, labels, pixels, affine = case
    path = tmp_path_factory.mktemp("turned") / ("labels.nrrd" if writer == "pynrrd" else "labels.nii")
    ras = np.diag((-1.0, -1.0, 1.0, 1.0)) @ affine
    if writer.startswith("nibabel"):
        stored = pixels.astype(np.float32) if writer.endswith("float") else pixels
        image = nibabel.Nifti1Image(stored, ras)
        image.set_qform(ras, code=1)
        if writer.endswith("qform"):
            image.set_sform(None, code=0)
        nibabel.save(image, path)
    elif writer == "pynrrd":
        header = {"space": "RAS", "space directions": ras[:3, :3].T, "space origin": ras[:3, 3]}
        nrrd.write(str(path), pixels, header)
    else:
        size = np.linalg.norm(affine[:3, :3], axis=0)
        written = sitk.GetImageFromArray(np.ascontiguousarray(pixels.transpose(2, 1, 0)))
        written.SetSpacing(size.tolist())
        written.SetOrigin(affine[:3, 3].tolist())
        written.SetDirection((affine[:3, :3] / size).ravel().tolist())
        sitk.WriteImage(written, path)
    np.testing.assert_array_equal(on_grid(read_volume(path), grid), labels)


@st.composite
def lying_anywhere(draw: st.DrawFn) -> np.ndarray:
    """Index to RAS, turned by any angle, often by nearly 90 or 180 degrees, about an edge or any axis."""
    axis = np.array(draw(st.sampled_from([(1, 0, 0), (0, 1, 0), (0, 0, 1)]) | st.tuples(*[st.floats(0.1, 1)] * 3)))
    near = st.builds(lambda right, off: right - off, st.sampled_from([0, np.pi / 2, np.pi]), st.floats(0, 3e-3))
    angle = draw(near | st.floats(0, np.pi))
    turn = Rotation.from_rotvec(angle * axis / np.linalg.norm(axis)).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn * draw(st.tuples(*[st.floats(0.01, 3)] * 3)) * (1, 1, draw(st.sampled_from([1, -1])))
    affine[:3, 3] = draw(st.tuples(*[st.floats(-500, 500)] * 3))
    return affine


def header_of(folder: Path, affine: np.ndarray, writer: str, lengths: tuple[int, int, int]) -> nibabel.Nifti1Header:
    """A header with an sform and a qform as a program writes them."""
    if writer == "nibabel":
        header = nibabel.Nifti1Header()
        header.set_qform(affine, 1)
        header.set_sform(affine, 1)
    else:
        size, lps = np.linalg.norm(affine[:3, :3], axis=0), np.diag((-1.0, -1.0, 1.0)) @ affine[:3]
        image = sitk.Image(2, 2, 2, sitk.sitkUInt8)
        image.SetSpacing(size.tolist())
        image.SetOrigin(lps[:, 3].tolist())
        image.SetDirection((lps[:, :3] / size).ravel().tolist())
        sitk.WriteImage(image, folder / "written.nii")
        header = nibabel.Nifti1Image.from_filename(folder / "written.nii").header
        assert min(header["qform_code"], header["sform_code"]) > 0
    header.set_data_shape(lengths)
    header["vox_offset"] = 352
    return header


@given(
    affine=lying_anywhere(),
    writer=st.sampled_from(["nibabel", "SimpleITK"]),
    lengths=st.tuples(*[st.integers(1, 5000)] * 3),
    axis=st.integers(0, 2),
    shift=st.floats(0.1, 50),
    by=st.sampled_from(["qoffset", "srow", "turn"]),
)
def test_sform_and_qform_may_differ_by_rounding_alone(
    tmp_path_factory: pytest.TempPathFactory,
    affine: np.ndarray,
    writer: str,
    lengths: tuple[int, int, int],
    axis: int,
    shift: float,
    by: str,
) -> None:
    path = tmp_path_factory.mktemp("forms") / "labels.nii"
    header = header_of(path.parent, affine, writer, lengths)
    path.write_bytes(header.binaryblock + bytes(196))
    found = read_header(path)
    assert found.shape == lengths
    np.testing.assert_allclose(np.diag((-1, -1, 1, 1)) @ found.affine, affine, rtol=1e-6, atol=1e-4)
    other, moved = header.get_sform(), header.get_qform()
    if by == "turn":
        size = np.linalg.norm(affine[:3, :3], axis=0)
        assume(size.max() < 20 * size.min())  # else rounding alone may move the shortest voxels as far
        lengths = (max(lengths[0], 50), max(lengths[1], 50), max(lengths[2], 50))
        header.set_data_shape(lengths)
        moved[:3, :3] = Rotation.from_rotvec(0.1 * np.eye(3)[axis]).as_matrix() @ (affine[:3, :3] / size) * size
        header.set_qform(moved, 1)
    elif by == "qoffset":
        moved[:3, 3] += shift * affine[:3, axis]
        header.set_qform(moved, 1)
    else:
        other[:3, 3] += shift * affine[:3, axis]
        header.set_sform(other, 2)
    path.write_bytes(header.binaryblock + bytes(196))
    with pytest.raises(StackError, match="its sform and its qform put voxels up to"):
        read_header(path)
    for code in ("qform_code", "sform_code"):  # one alone is good
        kept, header[code] = int(header[code]), 0
        path.write_bytes(header.binaryblock + bytes(196))
        assert read_header(path).shape == lengths
        header[code] = kept


@given(axes=st.permutations("RAS"), flips=st.tuples(*(st.booleans() for _ in range(3))))
def test_labels_reoriented_by_nibabel_come_back(
    tmp_path_factory: pytest.TempPathFactory, axes: list[str], flips: tuple[bool, ...]
) -> None:
    path = tmp_path_factory.mktemp("reoriented") / "labels.nii.gz"
    write_volume(path, marked(), GRID)
    image = nibabel.Nifti1Image.from_filename(path)
    codes = [
        dict(zip("RAS", "LPI", strict=True))[axis] if flip else axis for axis, flip in zip(axes, flips, strict=True)
    ]
    target = nibabel.orientations.axcodes2ornt(codes)
    change = nibabel.orientations.ornt_transform(nibabel.io_orientation(image.affine), target)
    nibabel.save(image.as_reoriented(change), path)
    np.testing.assert_array_equal(on_grid(read_volume(path), GRID), marked())
    check_labels(path, GRID.extent)


@given(case=turned(), dtype=st.sampled_from([np.uint8, np.int16, np.float32]), portion=st.integers(1, 40))
def test_labels_of_another_volume_are_recognised_without_placing_them(
    tmp_path_factory: pytest.TempPathFactory, case: Turned, dtype: type, portion: int
) -> None:
    grid, _, pixels, affine = case
    path = tmp_path_factory.mktemp("covering") / "labels.nii"
    image = nibabel.Nifti1Image(pixels.astype(dtype), np.diag((-1.0, -1.0, 1.0, 1.0)) @ affine)
    nibabel.save(image, path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(volume, "_PORTION", portion)
        own = read_header(path).extent
        check_labels(path, own)
        check_labels(path, Extent((*own.shape, 2), own.affine, "mm"))
        with pytest.raises(AnnotationError, match=r"the labels cover .* and the image has"):
            check_labels(path, grid.extent)  # it is padded, so it never covers the grid alone
        affine[:3, 3] += affine[:3, 0] * 0.3
        with pytest.raises(AnnotationError, match=r"they are shifted by 0\.3"):
            check_labels(path, Extent(own.shape, affine))
        spoilt = np.asarray(pixels, np.float32)
        spoilt[-1, -1, -1] = 0.5
        nibabel.save(nibabel.Nifti1Image(spoilt, image.affine), path)
        with pytest.raises(AnnotationError, match=r"the labels hold 0\.5 and must be integers"):
            check_labels(path, own)
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises((StackError, AnnotationError), match=r"truncated|hold 0\.5"):
            check_labels(path, own)
    path.write_bytes(path.read_bytes()[:352])
    with pytest.raises(StackError, match="holds 0 bytes of pixels and declares"):
        check_labels(path, own)


def test_units_that_other_programs_write_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "labels.nii"
    for factor, unit in ((1, "micron"), (1, "mm"), (1, "unknown"), (1e-3, "mm")):
        image = nibabel.Nifti1Image(marked().T, np.diag((factor, factor, factor, 1)) @ to_ras(GRID))
        image.header.set_xyzt_units(unit)
        nibabel.save(image, path)
        np.testing.assert_array_equal(on_grid(read_volume(path), GRID), marked())
    for factor, unit in ((1e-3, "micron"), (1e-3, "unknown"), (1, "meter"), (1e3, "mm")):
        image = nibabel.Nifti1Image(marked().T, np.diag((factor, factor, factor, 1)) @ to_ras(GRID))
        image.header.set_xyzt_units(unit)
        nibabel.save(image, path)
        with pytest.raises(AnnotationError, match=rf"unit: {unit}.*image's 0\.01 x 0\.013 x 0\.02"):
            on_grid(read_volume(path), GRID)


def _shifted(*shift: float) -> np.ndarray:
    affine = GRID.affine
    affine[:3, 3] += np.array(shift) * (0.01, 0.013, 0.02)
    return affine


def _oblique(angle: float) -> np.ndarray:
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ GRID.affine


@pytest.mark.parametrize(
    ("affine", "text"),
    [
        (_shifted(0.5, 0, 0), r"shifted by 0\.5 of a voxel"),
        (_shifted(0, 0, 0.02), r"shifted by 0\.02 of a voxel"),
        (_oblique(0.05), r"not resampled, rotated"),
        (GRID.affine @ np.diag((1, 1.01, 1, 1)), r"0\.01 x 0\.01313 x 0\.02 .* image's 0\.01 x 0\.013 x 0\.02"),
        (GRID.affine @ np.diag((2, 2, 2, 1)), "not resampled"),
        (_shifted(0, 4, 0), "labelled voxels lie outside the case"),
        (_shifted(90, 0, 0), "labelled voxels lie outside the case"),
        (np.full((4, 4), np.nan), "not resampled"),
    ],
)
def test_refuses_labels_that_lie_elsewhere(affine: np.ndarray, text: str) -> None:
    with pytest.raises(AnnotationError, match=text):
        on_grid(Volume(marked(), affine), GRID)


def test_rounding_to_32_bits_is_no_shift() -> None:
    grid = Grid((1, 1, 5000), (0.0213, 0.0107, 0.0107), (3333 * 0.0213, 0, 0))
    labels = np.zeros(grid.shape, np.uint8)
    labels[0, 0, [0, 4998]] = 1, 2
    np.testing.assert_array_equal(on_grid(Volume(labels, grid.affine.astype(np.float32).astype(float)), grid), labels)


@pytest.mark.parametrize("value", [0.5, -1.0, 256.0, np.nan, np.inf])
def test_refuses_values_that_are_no_labels(value: float) -> None:
    pixels = marked().astype(np.float64)
    pixels[0, 0, 0] = value
    with pytest.raises(AnnotationError, match="must be integers 0 to 255"):
        on_grid(Volume(pixels, GRID.affine), GRID)
    with pytest.raises(AnnotationError, match="hold 300 and must"):
        on_grid(Volume(np.full(GRID.shape, 300, np.int16), GRID.affine), GRID)


@pytest.mark.parametrize("suffix", FORMATS)
def test_damaged_files_are_reported_as_damaged(tmp_path: Path, suffix: str) -> None:
    whole, path = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    write_volume(whole, some_pixels(GRID.shape), GRID)
    content = whole.read_bytes()
    for length in (0, 1, 50, 200, 351, len(content) - 20, len(content) - 1):
        path.write_bytes(content[:length])
        if length < len(content):
            with pytest.raises(StackError, match=r"cut.*(again|damaged)"):
                read_volume(path)
    rng = np.random.default_rng(1)
    for _ in range(150):  # whatever is damaged, nothing but an error of ours comes out
        spoilt = bytearray(content)
        for place in rng.integers(0, min(len(content), 400), 3):
            spoilt[place] = rng.integers(0, 256)
        path.write_bytes(spoilt)
        with contextlib.suppress(StackError, AnnotationError):
            on_grid(read_volume(path, max_voxels=10_000), GRID)
    with pytest.raises(StackError, match="does not exist"):
        read_header(tmp_path / f"none{suffix}")


def test_declared_sizes_are_limited_before_anything_is_unpacked(tmp_path: Path) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    header["vox_offset"] = 352
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4)))
    with pytest.raises(StackError, match=r"bomb.*30000 x 30000 x 30000 values and may hold 1000"):
        read_volume(path, max_voxels=1000)
    with pytest.raises(StackError, match="declares 108000000000000: it is truncated"):
        read_volume(path)


def test_more_pixels_than_declared_are_refused_without_unpacking(tmp_path: Path) -> None:
    write_volume(tmp_path / "labels.nrrd", marked(), GRID)
    head = (tmp_path / "labels.nrrd").read_bytes().split(b"\n\n")[0]
    (tmp_path / "bomb.nrrd").write_bytes(head + b"\n\n" + gzip.compress(marked().tobytes() + bytes(1 << 27)))
    tracemalloc.start()
    with pytest.raises(StackError, match="holds more than the 105 bytes of pixels that it declares"):
        read_volume(tmp_path / "bomb.nrrd")
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_damaged_pixels_are_noticed(tmp_path: Path, suffix: str) -> None:
    pixels = some_pixels(GRID.shape) % 3
    write_volume(tmp_path / f"whole{suffix}", pixels, GRID)
    content = (tmp_path / f"whole{suffix}").read_bytes()
    begin = content.index(b"\n\n") + 12 if suffix == ".nrrd" else 10  # behind the header of gzip
    refused = 0
    for place in range(begin, len(content)):
        spoilt = bytearray(content)
        spoilt[place] ^= 255
        (tmp_path / f"spoilt{suffix}").write_bytes(spoilt)
        try:  # some bits fill bytes up and mean nothing
            np.testing.assert_array_equal(read_volume(tmp_path / f"spoilt{suffix}").pixels, pixels)
        except StackError:
            refused += 1
    assert refused > 0.8 * (len(content) - begin)


def test_an_nrrd_file_may_not_name_another_file(tmp_path: Path) -> None:
    (tmp_path / "secret.raw").write_bytes(bytes(105))
    for name in ("data file", "datafile"):
        nrrd.write(str(tmp_path / "labels.nrrd"), marked().T, {"space": "LPS"})
        content = (
            (tmp_path / "labels.nrrd").read_bytes().replace(b"encoding:", f"{name}: secret.raw\nencoding:".encode())
        )
        (tmp_path / "labels.nrrd").write_bytes(content)
        with pytest.raises(StackError, match=r"another file \('secret.raw'\), which is not followed"):
            read_header(tmp_path / "labels.nrrd")


def test_refuses_pixels_that_are_no_numbers(tmp_path: Path) -> None:
    rgb = np.zeros((5, 7, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for pixels in (np.zeros((5, 7, 3), np.complex64), rgb):
        nibabel.save(nibabel.Nifti1Image(pixels, np.eye(4)), tmp_path / "pixels.nii")
        with pytest.raises(StackError, match="must hold integers"):
            read_header(tmp_path / "pixels.nii")
    layers = {
        "space": "LPS",
        "space directions": np.vstack((np.full(3, np.nan), np.eye(3))),
        "space origin": np.zeros(3),
    }
    nrrd.write(str(tmp_path / "layers.nrrd"), np.zeros((2, 5, 7, 3), np.uint8), layers)
    with pytest.raises(StackError, match="without overlapping segments"):
        read_header(tmp_path / "layers.nrrd")


def test_stored_scaling_and_byte_order_are_heeded(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(marked().T.astype(">i2"), to_ras(GRID), nibabel.Nifti1Header(endianness=">"))
    image.header.set_slope_inter(2, 1)
    nibabel.save(image, tmp_path / "labels.nii")
    content = bytearray((tmp_path / "labels.nii").read_bytes())
    content[112:120] = struct.pack(">ff", 2, 1)
    (tmp_path / "labels.nii").write_bytes(content)
    expected = np.asanyarray(nibabel.Nifti1Image.from_filename(tmp_path / "labels.nii").dataobj).T
    np.testing.assert_array_equal(read_volume(tmp_path / "labels.nii").pixels, expected)
    nibabel.save(nibabel.Nifti2Image(marked().T, to_ras(GRID)), tmp_path / "two.nii")
    np.testing.assert_array_equal(on_grid(read_volume(tmp_path / "two.nii"), GRID), marked())


def test_refuses_to_write_what_a_format_cannot_hold(tmp_path: Path) -> None:
    refused: list[tuple[str, np.ndarray, str]] = [
        ("case.mha", marked(), r"ends in none of \.nii\.gz"),
        ("case.nrrd", np.zeros((*GRID.shape, 2), np.uint8), "only NIfTI may have detectors"),
        ("case.nii", marked()[:2], "do not fit a grid"),
        ("case.nii", marked().astype(np.float32), "are float32 and must be one of"),
    ]
    for path, pixels, text in refused:
        with pytest.raises(StackError, match=text):
            write_volume(tmp_path / path, pixels, GRID)
    assert not list(tmp_path.iterdir())


def test_every_turn_is_known() -> None:
    """All 48 turns, on a grid whose voxels are cubes, where only the directions tell axes apart."""
    grid = Grid(GRID.shape, (0.01, 0.01, 0.01))
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            pixels, affine = marked().transpose(2, 1, 0).transpose(order), grid.affine[:, [*order, 3]]
            for axis in (axis for axis in range(3) if signs[axis] < 0):
                pixels = np.flip(pixels, axis)
                affine[:, 3] += affine[:, axis] * (pixels.shape[axis] - 1)
                affine[:, axis] *= -1
            np.testing.assert_array_equal(on_grid(Volume(pixels.transpose(2, 1, 0), affine), grid), marked())
