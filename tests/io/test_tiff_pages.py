"""What a TIFF file holds: every page counts, and what is left out is said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from monai_app.domain.region import Rect
from monai_app.errors import StackError
from monai_app.io.base import Request
from monai_app.io.formats.tiff import open_tiff
from monai_app.stack import ingest
from monai_app.stack.mask import Mask
from tests.stack.samples import SampleFolder, label_plane, pixels, write_folder

STACK = pixels(6, 37, 29)


def read(path: Path, labels: bool = False) -> np.ndarray:
    return np.stack(list(open_tiff(path, Request(labels=labels)).planes()))


def page_by_page(path: Path, *pages: tuple[np.ndarray, dict[str, Any]]) -> Path:
    with tifffile.TiffWriter(path) as writer:
        for pixels_of_page, options in pages:
            writer.write(pixels_of_page, **options)
    return path


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"contiguous": True}, {"metadata": None}], ids=str)
def test_a_stack_written_plane_by_plane_is_one_stack(tmp_path: Path, options: dict[str, Any]) -> None:
    path = page_by_page(tmp_path / "a.tif", *((plane, options) for plane in STACK))
    np.testing.assert_array_equal(read(path), STACK)
    np.testing.assert_array_equal(list(open_tiff(path, Request()).planes(range(2, 4))), STACK[2:4])


@given(place=st.integers(0, 3), metadata=st.booleans())
def test_a_preview_is_no_plane_wherever_it_stands(
    tmp_path_factory: pytest.TempPathFactory, place: int, metadata: bool
) -> None:
    options: dict[str, Any] = {} if metadata else {"metadata": None}
    pages = [(plane, options) for plane in STACK[:3]]
    pages.insert(place, (STACK[0, ::2, ::2], {**options, "subfiletype": 1}))
    path = page_by_page(tmp_path_factory.mktemp("preview") / "a.tif", *pages)
    np.testing.assert_array_equal(read(path), STACK[:3])


GREY = {"photometric": "minisblack"}
IMAGEJ = {"metadata": None, "description": "ImageJ=1.53\nimages=3\nslices=3\n", "compression": "zlib"}

REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "pages beyond the metadata": (
        lambda path: page_by_page(path, (STACK[0], IMAGEJ), *((plane, {"metadata": None}) for plane in STACK[1:])),
        "lists 3 planes and it holds 6",
    ),
    "another shape, unmarked": (
        lambda path: page_by_page(path, (STACK[0], {}), (STACK[0, ::2, ::2], {})),
        "planes of 37 x 29 and others of 19 x 15",
    ),
    "another type": (
        lambda path: page_by_page(path, (STACK[0], {}), (STACK[1].astype(np.uint16), {})),
        "planes of uint8 and others of uint16",
    ),
    "a preview as large as the picture": (
        lambda path: page_by_page(path, (STACK[0], {"subfiletype": 1}), (STACK[0, ::2, ::2], {})),
        "as large as its picture",
    ),
    "turned": (
        lambda path: page_by_page(path, (STACK[0], {"extratags": [(274, "H", 1, 6, True)]})),
        "rotated or mirrored .orientation 6",
    ),
    "a turned page": (
        lambda path: page_by_page(
            path,
            (STACK[0], {"metadata": None}),
            (STACK[1], {"metadata": None, "extratags": [(274, "H", 1, 3, True)]}),
        ),
        "rotated or mirrored .orientation 3",
    ),
    "a colour page": (
        lambda path: page_by_page(path, (STACK[0], {}), (np.zeros((37, 29, 3), np.uint8), {"photometric": "rgb"})),
        "colour image",
    ),
    "two stacks": (
        lambda path: page_by_page(path, (STACK[:3], GREY), (STACK[3:], GREY)),
        "several stacks, such as those of two detectors",
    ),
    "two images of OME": (
        lambda path: page_by_page(path.with_suffix(".ome.tif"), (STACK[0], {}), (STACK[1], {})).rename(path),
        "several stacks, such as those of two detectors",
    ),
}


@pytest.mark.parametrize("labels", [False, True], ids=["image", "labels"])
@pytest.mark.parametrize(("write", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses(tmp_path: Path, write: Callable[[Path], object], message: str, labels: bool) -> None:
    write(tmp_path / "a.tif")
    with pytest.raises(StackError, match=rf"a\.tif: .*{message}"):
        open_tiff(tmp_path / "a.tif", Request(labels=labels))


def test_labels_that_were_compressed_with_loss_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", pixels(1, 64, 64)[0], compression="jpeg")
    assert open_tiff(tmp_path / "a.tif", Request()).count == 1
    with pytest.raises(StackError, match="compression is JPEG, which changes label values"):
        open_tiff(tmp_path / "a.tif", Request(labels=True))


def test_every_slice_has_its_own_plane_of_a_mask(tmp_path: Path) -> None:
    sample = SampleFolder(tmp_path)
    sample.detector("ICE", STACK)
    masks = [(plane > 99, {"compression": "zlib"}) for plane in STACK]
    page_by_page(tmp_path / "mask.tif", *((plane.astype(np.uint8), options) for plane, options in masks))
    mask = Mask(ingest(sample.write(), sample.target), str(tmp_path / "mask.tif"))
    for z, plane in enumerate(STACK):
        np.testing.assert_array_equal(mask.read(z, Rect.whole(STACK.shape)), plane > 99)


def described(**sections: dict[str, object]) -> dict[str, Any]:
    """Options that write a description as microscopes of FEI do."""
    lines = [
        line
        for name, values in sections.items()
        for line in (f"[{name}]", *(f"{key}={value}" for key, value in values.items()), "")
    ]
    return {"extratags": [(34682, "s", 0, "\r\n".join(lines), True)]}


BARS: dict[str, tuple[dict[str, Any], int]] = {
    "both": (described(Image={"ResolutionX": 29, "ResolutionY": 30}, PrivateFei={"DatabarHeight": 7}), 7),
    "height of the bar 0": (
        described(Image={"ResolutionX": 29, "ResolutionY": 30}, PrivateFei={"DatabarHeight": 0}),
        7,
    ),
    "bar alone": (described(Beam={"HV": 2000}, PrivateFei={"DatabarHeight": 7}), 7),
    "no bar": (described(Image={"ResolutionX": 29, "ResolutionY": 37}, PrivateFei={"DatabarHeight": ""}), 0),
    "cropped since": (described(Image={"ResolutionX": 58, "ResolutionY": 30}, PrivateFei={"DatabarHeight": 7}), 0),
    "no sections": ({"extratags": [(34682, "s", 0, "no sections at all", True)]}, 0),
    "nothing": (described(Beam={"HV": 2000}), 0),
}


@pytest.mark.parametrize(("options", "bar"), BARS.values(), ids=BARS)
def test_the_data_bar_that_a_file_tells_of_is_left_out(tmp_path: Path, options: dict[str, Any], bar: int) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], **options)
    file = open_tiff(tmp_path / "a.tif", Request())
    assert (file.shape, file.bar) == ((37 - bar, 29), bar)
    np.testing.assert_array_equal(next(file.planes()), STACK[0, : 37 - bar])


@pytest.mark.parametrize("covered", [30, 37])
def test_annotations_may_cover_the_data_bar(tmp_path: Path, covered: int) -> None:
    sample = SampleFolder(tmp_path)
    sample.detector("ICE", STACK[:3], **BARS["both"][0])
    sample.annotate({1: label_plane(covered, 29)}, train=[1], test=[])
    lines: list[str] = []
    stack = ingest(sample.write(), sample.target, report=lines.append)
    assert lines[1] == "ICE: the microscope's data bar, 7 rows below the image, is removed"
    assert stack.shape == (3, 30, 29)
    plane = label_plane(covered, 29)[:30]
    np.testing.assert_array_equal(stack.read_annotation(1), np.select([plane == 0, plane == 7], [1, 2], 0))


def test_detectors_with_and_without_the_data_bar_are_refused(tmp_path: Path) -> None:
    sample = SampleFolder(tmp_path)
    sample.detector("ICE", STACK[:2], **BARS["both"][0])
    sample.detector("TLD", STACK[2:4])
    with pytest.raises(StackError, match="differ: 30 x 29 pixels, 8-bit, and 37 x 29"):
        ingest(sample.write(), sample.target)
    write_folder(tmp_path / "TLD", STACK[2:4, :30])
    assert ingest(sample.write(), sample.target).shape == (2, 30, 29)
