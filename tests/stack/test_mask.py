"""Masks from label images and TIFFs, and what they leave of a result."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from monai_app.domain.region import Rect, Region, Span
from monai_app.errors import ConfigError
from monai_app.inference import Predictor, Segmentation
from monai_app.stack import Align, Stack, ingest
from monai_app.stack.mask import Mask
from tests.inference.models import model_of
from tests.stack.alignment.drifting import texture
from tests.stack.samples import SampleFolder

SHAPE = (8, 96, 80)
KEPT = np.random.default_rng(0).random(SHAPE) < 0.3
KEPT[2] = False
PART = Rect(Span(10, 50), Span(20, 80))
INDEX = (3, *PART.index)


@pytest.fixture
def stack(tiny_stack: Stack, tmp_path: Path) -> Stack:
    """The tiny stack with a label image of the pixels that are kept."""
    shutil.copytree(tiny_stack.path, tmp_path / "own.ome.zarr")
    stack = Stack.open(tmp_path / "own.ome.zarr")
    stack.write_labels("sample", (np.where(kept, 1 + z % 3, 0).astype(np.uint8) for z, kept in enumerate(KEPT)))
    return stack


@pytest.fixture(params=["label image", "slices", "one slice"])
def mask(request: pytest.FixtureRequest, stack: Stack, tmp_path: Path) -> Mask:
    if request.param == "label image":
        return Mask(stack, "sample")
    pixels = KEPT.astype(np.uint16) * 700
    tifffile.imwrite(tmp_path / "mask.tif", pixels if request.param == "slices" else pixels[3])
    return Mask(stack, str(tmp_path / "mask.tif"))


def test_a_mask_is_where_there_are_values(mask: Mask) -> None:
    kept = mask.read(3, PART)
    assert kept is not None
    assert kept.dtype == bool
    np.testing.assert_array_equal(kept, KEPT[INDEX])


def test_what_lies_outside_becomes_0_in_all_planes(mask: Mask) -> None:
    rng = np.random.default_rng(1)
    shapes: dict[str, tuple[int, ...]] = {"labels": (), "confidence": (), "probability": (3,)}
    planes = {name: rng.integers(1, 4, (*more, 40, 60), np.uint8) for name, more in shapes.items()}
    masked = mask.apply(planes, 3, PART)
    assert masked.keys() == planes.keys()
    for name, plane in masked.items():
        assert plane.dtype == np.uint8
        np.testing.assert_array_equal(plane, np.where(KEPT[INDEX], planes[name], 0))


def region_of(z: tuple[int, int], y: tuple[int, int] = (0, 96), x: tuple[int, int] = (0, 80)) -> Region:
    return Region(Span(*z), Span(*y), Span(*x))


def test_tiles_without_a_pixel_of_it_are_left_out(stack: Stack, tmp_path: Path) -> None:
    mask = Mask(stack, "sample")
    assert not mask.keeps(region_of((2, 3)))
    assert mask.keeps(region_of((1, 3)))
    corner = np.zeros(SHAPE[1:], bool)
    corner[50, 60] = True
    tifffile.imwrite(tmp_path / "corner.tif", corner)
    mask = Mask(stack, str(tmp_path / "corner.tif"))
    assert mask.keeps(region_of((0, 8), (50, 51), (60, 61)))
    assert not any(mask.keeps(region_of((0, 8), *box)) for box in [((0, 50), (0, 80)), ((0, 96), (61, 80))])


def test_without_a_mask_all_is_kept(tiny_stack: Stack) -> None:
    mask = Mask(tiny_stack)
    assert mask.identity is None
    assert mask.read(3, PART) is None
    assert mask.keeps(region_of((2, 3)))
    given = {"labels": np.ones((4, 4), np.uint8)}
    assert mask.apply(given, 0, Rect.whole((4, 4))) is given


def test_its_identity_is_a_name_or_its_pixels(stack: Stack, tmp_path: Path) -> None:
    assert Mask(stack, "sample").identity == "sample"
    for name, pixels in (("a", KEPT[3]), ("b", KEPT[3]), ("c", KEPT[4])):
        tifffile.imwrite(tmp_path / f"{name}.tif", pixels.astype(np.uint8), compression="zlib" if name == "b" else None)
    a, b, c = (Mask(stack, str(tmp_path / f"{name}.tif")).identity for name in "abc")
    assert a == b == hashlib.sha256(KEPT[3].astype(np.uint8).tobytes()).hexdigest()
    assert c != a


@pytest.mark.parametrize("shape", [(80, 96), (7, 96, 80), (96, 80, 2)])
def test_masks_of_another_size_are_refused(tiny_stack: Stack, tmp_path: Path, shape: tuple[int, ...]) -> None:
    tifffile.imwrite(tmp_path / "odd.tif", np.ones(shape, np.uint8), photometric="minisblack")
    with pytest.raises(ConfigError, match=r"is of shape .*; it must be \(96, 80\) .* or \(8, 96, 80\); .* \(--mask\)"):
        Mask(tiny_stack, str(tmp_path / "odd.tif"))


def test_a_stack_of_one_slice_needs_no_third_axis(tiny_stack: Stack, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "one.tif", KEPT[3:4])
    np.testing.assert_array_equal(Mask(tiny_stack, str(tmp_path / "one.tif")).read(3, PART), KEPT[INDEX])


def test_what_is_no_mask_is_refused(tiny_stack: Stack, stack: Stack, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"mask simple does not exist, and is none of .* own\.ome\.zarr: sample; give"
    ):
        Mask(stack, "simple")
    with pytest.raises(
        ConfigError, match=r"mask .*gone\.tif does not exist, .* it has none; give one of them \(--mask\)"
    ):
        Mask(tiny_stack, str(tmp_path / "gone.tif"))
    for number, content in enumerate((b"", b"no TIFF", b"II*\0")):
        (tmp_path / f"{number}.tif").write_bytes(content)
        with pytest.raises(ConfigError, match=r"mask .*\.tif cannot be read .*; or give the name of a label image"):
            Mask(tiny_stack, str(tmp_path / f"{number}.tif"))


def test_pixels_that_are_no_values_are_refused(tiny_stack: Stack, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "float.tif", KEPT[3].astype(np.float32) / 2)
    tifffile.imwrite(tmp_path / "colour.tif", np.ones((96, 80, 3), np.uint8), photometric="rgb")
    for name, message in (
        ("float", r"plane 0 holds 0\.5 and label values are integers"),
        ("colour", "a colour image"),
    ):
        with pytest.raises(ConfigError, match=message):
            Mask(tiny_stack, str(tmp_path / f"{name}.tif"))


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("part", [0.03, 0.2, 0.5, 0.9])
def test_a_mask_that_was_cut_off_is_not_taken_for_a_shorter_one(
    tiny_stack: Stack, tmp_path: Path, part: float, compression: str | None
) -> None:
    """Its first page alone would serve for all slices."""
    noise = np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8)
    tifffile.imwrite(tmp_path / "whole.tif", noise, compression=compression)
    content = (tmp_path / "whole.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(content[: int(part * len(content))])
    with pytest.raises(ConfigError, match=r"mask .*cut\.tif"):
        Mask(tiny_stack, str(tmp_path / "cut.tif"))


@given(st.data())
def test_any_part_of_a_tiff_is_that_part(
    tiny_stack: Stack, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "kept.tif"
    if not path.exists():
        tifffile.imwrite(path, KEPT)
    rows, columns = (sorted(data.draw(st.tuples(*[st.integers(0, side)] * 2))) for side in SHAPE[1:])
    z, rect = data.draw(st.integers(0, 7)), Rect(Span(*rows), Span(*columns))
    np.testing.assert_array_equal(Mask(tiny_stack, str(path)).read(z, rect), KEPT[z][rect.index])


@pytest.fixture
def moved_stack(tmp_path: Path) -> Stack:
    """A stack whose detectors were moved upon each other, so that some pixels lie outside."""
    sample, pixels = SampleFolder(tmp_path / "moved"), texture(*SHAPE)
    sample.detector("ICE", pixels)
    sample.detector("TLD", np.roll(pixels, (5, -7), (1, 2)))
    return ingest(sample.write(), sample.target, align=Align("detectors"))


@pytest.mark.parametrize("masked", [False, True])
def test_what_lies_outside_moved_pictures_is_masked(moved_stack: Stack, tmp_path: Path, masked: bool) -> None:
    source = str(tmp_path / "mask.tif") if masked else None
    tifffile.imwrite(tmp_path / "mask.tif", KEPT.astype(np.uint8))
    inside = moved_stack.inside(3, Rect.whole(moved_stack.shape))
    assert inside is not None
    assert inside.sum() == (96 - 5) * (80 - 7)
    kept = Mask(moved_stack, source).read(3, PART)
    assert kept is not None
    np.testing.assert_array_equal(kept, (inside & KEPT[3] if masked else inside)[PART.index])


def test_labels_are_0_outside_moved_pictures_on_disk_and_in_memory(moved_stack: Stack, tmp_path: Path) -> None:
    model = model_of(tmp_path / "model", slices=1)
    Segmentation(model, str(moved_stack.path), "labels").run()
    labels = moved_stack.read_labels("labels", 3)
    np.testing.assert_array_equal(labels > 0, moved_stack.inside(3, Rect.whole(moved_stack.shape)))
    ((_, planes),) = Predictor(model).predict(moved_stack, [3])
    np.testing.assert_array_equal(planes["labels"], labels)
