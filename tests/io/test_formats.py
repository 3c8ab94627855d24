"""Stacks in every format that is read, written by the programs of others: what ingestion stores of them."""

import contextlib
import gzip
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import nrrd
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk  # noqa: N813  # what its documentation calls it
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_app.errors import AppError, StackError
from monai_app.io import Volume, open_planes, read_header, registry, volume, write_like
from monai_app.io.base import PlaneFile, Request, check_type
from monai_app.stack import DetectorDescription, SampleDescription, ingest
from monai_app.stack.ingestion.description import Voxel
from tests.stack.samples import SampleFolder, label_plane, pixels

Pixels = npt.NDArray[Any]

nib: Any = nibabel  # both are typed in part
itk: Any = sitk

UPRIGHT = np.diag((-0.01, -0.01, 0.02, 1.0))
"""Index to RAS of voxels of 20 x 10 x 10 nm, in micrometres, that lie as an image does."""


def by_nibabel(path: Path, stack: Pixels, affine: Pixels | None = UPRIGHT) -> None:
    header = nib.Nifti1Header(endianness=">" if stack.dtype.byteorder == ">" else "<")
    header.set_data_dtype(stack.dtype)
    nib.save(nib.Nifti1Image(stack.T, affine, header), path)


def by_itk(path: Path, stack: Pixels, compressed: bool = False) -> None:
    image = itk.GetImageFromArray(stack.astype(stack.dtype.newbyteorder("=")))
    image.SetSpacing((0.01, 0.01, 0.02))
    itk.WriteImage(image, path, compressed)


def by_pynrrd(path: Path, stack: Pixels, encoding: str = "gzip") -> None:
    nrrd.write(str(path), stack.T, {"encoding": encoding, "space directions": np.diag((0.01, 0.01, 0.02))})


WRITERS: dict[str, tuple[str, Callable[[Path, Pixels], object]]] = {
    "tifffile": (
        "a.ome.tif",
        lambda path, stack: tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": "ZYX"}),
    ),
    "nibabel": ("a.nii", by_nibabel),
    "nibabel gzip": ("a.nii.gz", by_nibabel),
    "nibabel without geometry": ("a.nii", lambda path, stack: by_nibabel(path, stack, None)),
    "pynrrd": ("a.nrrd", by_pynrrd),
    "pynrrd raw": ("a.nrrd", lambda path, stack: by_pynrrd(path, stack, "raw")),
    **{f"ITK {end}": (f"a{end}", by_itk) for end in (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd")},
    **{f"ITK {end} compressed": (f"a{end}", lambda path, stack: by_itk(path, stack, True)) for end in (".mha", ".mhd")},
}
VOLUMES = [name for name in WRITERS if name != "tifffile"]


def ingested(path: Path, voxel_nm: tuple[float, float, float] = (20.0, 10.0, 10.0)) -> Pixels:
    """(slices, rows, columns) of the store that ingestion makes of one file."""
    description = SampleDescription(
        name="s",
        voxel_nm=Voxel(z=voxel_nm[0], y=voxel_nm[1], x=voxel_nm[2]),
        detectors={"SE": DetectorDescription(source=path)},
    )
    stack = ingest(description, path.parent / "s.ome.zarr", overwrite=True)
    return np.concatenate([stack.read_slab(z, ["SE"], 1) for z in range(stack.shape[0])])


@settings(max_examples=40, deadline=None)
@given(
    writer=st.sampled_from(sorted(WRITERS)),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(2, 9)),
    dtype=st.sampled_from(["<u1", "<u2", ">u2"]),
    portion=st.integers(1, 300),
    seed=st.integers(0, 99),
)
def test_what_others_write_is_stored_plane_by_plane(
    tmp_path_factory: pytest.TempPathFactory, writer: str, shape: tuple[int, ...], dtype: str, portion: int, seed: int
) -> None:
    name, write = WRITERS[writer]
    path = tmp_path_factory.mktemp("written") / name
    stack = np.random.default_rng(seed).integers(0, 255, shape).astype(dtype)
    write(path, stack)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(volume, "_PORTION", portion)
        np.testing.assert_array_equal(ingested(path), stack)
        source = open_planes(path)
        assert source.names == tuple(f"a_{z:04d}" for z in range(shape[0]))
        for z in reversed(range(shape[0])):
            plane = source.plane(z)
            assert plane.dtype == stack.dtype.newbyteorder("=")
            np.testing.assert_array_equal(plane, stack[z])


@given(writer=st.sampled_from(sorted(WRITERS)), data=st.data())
def test_damaged_files_are_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, writer: str, data: st.DataObject
) -> None:
    """Whatever is damaged, nothing but an error of ours comes out, and what was cut off is noticed."""
    name, write = WRITERS[writer]
    folder = tmp_path_factory.mktemp("damaged")
    write(folder / name, pixels(3, 7, 5, "uint16"))
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(AppError):
        list(open_planes(folder / name).planes())


@pytest.mark.parametrize("writer", VOLUMES)
def test_volumes_that_were_cut_off_are_refused(tmp_path: Path, writer: str) -> None:
    name, write = WRITERS[writer]
    write(tmp_path / name, pixels(3, 7, 5, "uint16"))
    path = max(tmp_path.iterdir(), key=lambda file: file.name != "a.mhd")  # the pixels of a .mhd are another file
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(StackError, match=r"a\.\w+"):
            list(open_planes(tmp_path / name).planes())


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.mha"])
def test_a_header_that_declares_more_than_the_file_can_hold_is_refused(tmp_path: Path, name: str) -> None:
    """Before anything is unpacked, and whatever memory its planes would need."""
    by_itk(tmp_path / name, pixels(3, 7, 5), compressed=True)
    content = (tmp_path / name).read_bytes()
    if name == "a.nii.gz":
        header = bytearray(gzip.decompress(content))
        header[42:48] = np.array((30000, 30000, 30000), "<i2").tobytes()
        content = gzip.compress(bytes(header))
    else:
        content = content.replace(b"5 7 3", b"500000 700000 300000")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StackError, match=rf"{name}: it declares \d{{14,}} bytes of pixels and has \d+ for them"):
        open_planes(tmp_path / name)


def test_gzip_files_in_several_parts_are_one(tmp_path: Path) -> None:
    """As bgzip and parallel compressors write them, and with zeros that fill up the last block of a tape or disk."""
    stack = pixels(3, 40, 50, "uint16")
    by_nibabel(tmp_path / "b.nii", stack)
    content = (tmp_path / "b.nii").read_bytes()
    parts = [gzip.compress(content[begin : begin + 777]) for begin in range(0, len(content), 777)]
    (tmp_path / "a.nii.gz").write_bytes(b"".join(parts) + bytes(512))
    np.testing.assert_array_equal(list(open_planes(tmp_path / "a.nii.gz").planes()), stack)


def test_memory_does_not_grow_with_the_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume, "_PORTION", 1 << 16)
    by_nibabel(tmp_path / "a.nii.gz", np.zeros((400, 100, 100), "<u2"))
    source = open_planes(tmp_path / "a.nii.gz")
    tracemalloc.start()
    assert sum(1 for _ in source.planes()) == 400
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("affine", "axes"),
    [
        (np.diag((0.01, 0.01, 0.02, 1.0)), r"\(-1 0 0\), \(0 -1 0\), \(0 0 1\)"),
        (np.diag((-0.01, -0.01, -0.02, 1.0)), r"\(1 0 0\), \(0 1 0\), \(0 0 -1\)"),
        (np.diag((-0.01, 0.01, 0.02, 1.0)), r"\(1 0 0\), \(0 -1 0\), \(0 0 1\)"),
        (UPRIGHT[:, [1, 0, 2, 3]], r"\(0 1 0\), \(1 0 0\), \(0 0 1\)"),
    ],
)
def test_volumes_that_say_they_are_turned_are_asked_about(tmp_path: Path, affine: Pixels, axes: str) -> None:
    for labels in (True, False):
        by_nibabel(tmp_path / "a.nii", pixels(3, 7, 5), affine)
        with pytest.raises(StackError, match=rf"a\.nii: its voxels are .* along {axes} .*rotated or mirrored"):
            open_planes(tmp_path / "a.nii", Request(labels=labels))


def test_the_directions_of_metaimage_are_those_of_itk(tmp_path: Path) -> None:
    image = itk.GetImageFromArray(pixels(3, 7, 5))
    image.SetDirection((0, 1, 0, 0, 0, 1, 1, 0, 0))
    image.SetOrigin((1, 2, 3))
    image.SetSpacing((0.1, 0.2, 0.3))
    for name in ("a.mha", "a.nrrd"):
        itk.WriteImage(image, tmp_path / name)
    metaimage, other = (read_header(path) for path in sorted(tmp_path.iterdir()))
    np.testing.assert_allclose(metaimage.affine, other.affine)


def test_a_voxel_size_that_contradicts_the_description_is_refused(tmp_path: Path) -> None:
    stack = pixels(3, 7, 5)
    by_nibabel(tmp_path / "a.nii", stack)
    with pytest.raises(StackError, match=r"a\.nii: its voxels are 0\.02 x 0\.01 x 0\.01 .* voxel_nm is 40 x 10 x 10"):
        ingested(tmp_path / "a.nii", (40.0, 10.0, 10.0))
    by_nibabel(tmp_path / "a.nii", stack, np.diag((-1.0, -1.0, 1.0, 1.0)))  # no program knew the size
    np.testing.assert_array_equal(ingested(tmp_path / "a.nii"), stack)
    by_itk(tmp_path / "a.mha", stack[:1])  # nobody knows the distance of one slice
    np.testing.assert_array_equal(ingested(tmp_path / "a.mha", (7.0, 10.0, 10.0)), stack[:1])


def test_detectors_that_lie_beside_each_other_are_refused(tmp_path: Path) -> None:
    moved = UPRIGHT.copy()
    moved[0, 3] = 0.02
    for name, affine in (("a", UPRIGHT), ("b", moved)):
        by_nibabel(tmp_path / f"{name}.nii", pixels(3, 7, 5), affine)
    files = zip(("ICE", "TLD"), ("a.nii", "b.nii"), strict=True)
    detectors = {name: DetectorDescription(source=tmp_path / file) for name, file in files}
    description = SampleDescription(name="s", voxel_nm=Voxel(z=20, y=10, x=10), detectors=detectors)
    with pytest.raises(StackError, match=r"b\.nii lies 2 voxels away from .*a\.nii at a corner"):
        ingest(description, tmp_path / "s.ome.zarr")


@pytest.mark.parametrize("name", ["labels.nii.gz", "labels.nrrd", "labels.mha"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_annotations_are_read_from_volumes(tmp_path: Path, name: str, dtype: str) -> None:
    sample = SampleFolder(tmp_path)
    sample.detector("ICE", pixels(4, 7, 5))
    planes = np.stack([label_plane(7, 5, z) for z in range(2)])
    sample.annotate({}, train=[1], test=[3], source=name, slices=[1, 3])
    itk.WriteImage(itk.GetImageFromArray(planes.astype(dtype)), tmp_path / name, True)
    stack = ingest(sample.write(), sample.target)
    for plane, z in zip(planes, (1, 3), strict=True):
        np.testing.assert_array_equal(stack.read_annotation(z), np.select([plane == 0, plane == 7], [1, 2], 0))
    if dtype == "float32":
        itk.WriteImage(itk.GetImageFromArray(planes + np.float32(0.5)), tmp_path / name)
        with pytest.raises(StackError, match=rf"{name}: plane 0 holds \S+\.5 and label values are integers"):
            ingest(sample.write(), sample.target, overwrite=True)


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (np.zeros((3, 7, 5), np.int16), "16-bit pixels of type int16"),
        (np.zeros((3, 7, 5), np.float32), "32-bit pixels of type float32"),
        (np.zeros((2, 3, 7, 5), np.uint8), r"holds 2 channels \(0, 1\).* give each one"),
    ],
)
def test_refuses_what_is_no_stack_of_grey_planes(tmp_path: Path, stack: Pixels, message: str) -> None:
    by_nibabel(tmp_path / "a.nii", stack)
    with pytest.raises(StackError, match=rf"a\.nii.*{message}"):
        open_planes(tmp_path / "a.nii")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"a.raw", b"../secret.raw", r"leaves its pixels to '\.\./secret\.raw', which is no file beside it"),
        (b"a.raw", b"LIST", "leaves its pixels to 'LIST'"),
        (b"NDims = 3", b"NDims = 2", "must have x, y and z"),
        (b"MET_UCHAR", b"MET_STRING", "ElementType MET_STRING is none of"),
        (b"ElementType", b"ElementNumberOfChannels = 3\nElementType", "ElementNumberOfChannels is 3 and must be 1"),
        (b"DimSize", b"Size", r"lacking: DimSize"),
        (b"ElementDataFile", b"Data", "no ElementDataFile"),
    ],
)
def test_refuses_headers_of_metaimage(tmp_path: Path, old: bytes, new: bytes, message: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.raw").write_bytes(bytes(105))
    by_itk(path := tmp_path / "in" / "a.mhd", pixels(3, 7, 5))
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(StackError, match=rf"a\.mhd.*{message}"):
        open_planes(path)


def test_labels_like_a_volume_name_its_unit(tmp_path: Path) -> None:
    """So that viewers, which turn the unit into mm, put the labels on the image."""
    labels = label_plane(7, 5)[None]
    for suffix in (".nii", ".nrrd"):
        write_like(tmp_path / f"a{suffix}", labels, Volume(labels, np.diag((1.0, 1.0, 2.0, 1.0)), "micron"))
        assert read_header(tmp_path / f"a{suffix}").unit == "micron"


def test_formats_that_are_not_known_are_refused_with_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    for path in (tmp_path / "a.jpg", tmp_path):
        with pytest.raises(StackError, match=r"\.tiff, \.tif, \.nii\.gz, \.nii, \.nrrd, \.mha, \.mhd"):
            open_planes(path)


def test_a_folder_may_have_a_volume_a_slice(tmp_path: Path) -> None:
    stack = pixels(3, 7, 5)
    for z, plane in enumerate(stack):
        by_itk(tmp_path / f"slice_{z}.mha", plane[None])
    source = open_planes(tmp_path)
    assert source.names == ("slice_0", "slice_1", "slice_2")
    np.testing.assert_array_equal(list(source.planes()), stack)
    tifffile.imwrite(tmp_path / "slice_0.tif", stack[0])  # where there are several formats, TIFF is meant
    assert len(open_planes(tmp_path)) == 1


@dataclass(frozen=True)
class NpyPlanes(PlaneFile):
    """A format that does not exist yet."""

    def decode(self, indices: range) -> Iterator[Pixels]:
        """Read planes one after the other."""
        stack = np.load(self.path, mmap_mode="r")
        return (np.asarray(stack[index]) for index in indices)


def open_npy(path: Path, request: Request) -> NpyPlanes:
    """Check the header."""
    stack = np.load(path, mmap_mode="r")
    check_type(stack.dtype, 8 * stack.dtype.itemsize, request)
    return NpyPlanes(path, len(stack), stack.shape[1:], stack.dtype)


def test_a_new_format_is_a_reader_and_a_line_in_the_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "FORMATS", [*registry.FORMATS, registry.Format("NumPy", (".npy",), open_npy)])
    stack = pixels(3, 7, 5, "uint16")
    np.save(tmp_path / "a.npy", stack)
    np.testing.assert_array_equal(ingested(tmp_path / "a.npy"), stack)
    for z, plane in enumerate(stack):
        (tmp_path / "slices").mkdir(exist_ok=True)
        np.save(tmp_path / "slices" / f"{z}.npy", plane[None])
    np.testing.assert_array_equal(ingested(tmp_path / "slices"), stack)
