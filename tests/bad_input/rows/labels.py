"""Annotated slices."""

from typing import Any

import nrrd
import numpy as np
import tifffile

from tests.bad_input.row import Make, Place, Row, edit_text, in_turn, refused, taken
from tests.bad_input.rows.descriptions import LINE, edited, whole
from tests.bad_input.rows.images import (
    Pixels,
    copied,
    cut,
    file,
    folder,
    image,
    linked_to,
    made_folder,
    moved,
    pages,
    without,
)

ONE = "annotations/slice_3.tif"


def label(change: Any, **options: Any) -> Make:
    return image(change, ONE, **options)


def colours(*order: int) -> Any:
    """A colour table; its entries in another order are other colours."""
    table = np.zeros((3, 256), np.uint16)
    table[:, :4] = (np.eye(4, dtype=np.uint16)[:3] * 65535)[:, list(order)]
    return {"photometric": "palette", "colormap": table}


def all_labels(change: Any, options: Any = lambda z: {}) -> Make:
    def make(place: Place) -> None:
        for z in (1, 3, 5, 6):
            path = place.copy("SAMPLE") / "annotations" / f"slice_{z}.tif"
            tifffile.imwrite(path, change(tifffile.imread(path)), **options(z))

    return make


def one_file(name: str, planes: int = 4, slices: str | None = "[1, 3, 5, 6]", **header: Any) -> Make:
    """Make a sample whose annotations are one file."""

    def make(place: Place) -> None:
        sample = place.copy("SAMPLE")
        volume = np.stack([tifffile.imread(sample / "annotations" / f"slice_{z}.tif") for z in (1, 3, 5, 6)])
        volume = volume[np.arange(planes) % 4]
        if name.endswith(".nrrd"):
            nrrd.write(str(sample / name), volume.transpose(2, 1, 0), header)
        else:
            tifffile.imwrite(sample / name, volume, photometric="minisblack")
        more = f"\n  slices: {slices}" if slices else ""
        edit_text(sample / "sample.yaml", "source: annotations", f"source: {name}{more}")

    return make


def with_values(*values: float) -> Any:
    def change(pixels: Pixels) -> Pixels:
        changed = pixels.astype(np.float32) if any(value != int(value) for value in values) else pixels.astype(np.int16)
        changed[20, : len(values)] = values
        return changed

    return change


def with_nan(pixels: Pixels) -> Pixels:
    changed = pixels.astype(np.float32)
    changed[20, 0] = np.nan
    return changed


def bad(did: str, make: Make, *says: str) -> Row:
    return refused(did, LINE, *says, make=make)


def good(did: str, make: Make) -> Row:
    return taken(did, LINE, whole(), make=make)


SEGMENTS = {"Segment0_LabelValue": "1", "Segment0_Name": "clinker", "Segment1_LabelValue": "3", "Segment1_Name": "pore"}

ROWS = [
    bad("labels with a value that nobody described", label(with_values(7)), ONE, "value 7"),
    bad("labels with a negative value", label(with_values(-1)), ONE, "-1"),
    bad("labels with fractions", label(with_values(1.5)), ONE, "1.5"),
    bad("labels with NaN", label(with_nan), ONE, "nan"),
    bad("labels with infinity", label(lambda p: np.where(p == 1, np.inf, p).astype(np.float32)), ONE, "inf"),
    bad("labels with fewer rows", label(lambda pixels: pixels[:-1]), ONE, "95"),
    bad("labels that are turned", label(lambda pixels: np.ascontiguousarray(pixels.T)), ONE),
    bad("labels in colours", label(lambda p: np.stack([p, p, p], 2), photometric="rgb"), ONE, "colour"),
    bad("labels as JPEG", label(lambda pixels: pixels, compression="jpeg"), ONE),
    bad(
        "grey values in place of labels",
        file(lambda path: path.write_bytes((path.parents[1] / "ICE/slice_3.tif").read_bytes()), ONE),
        ONE,
    ),
    bad("complex numbers as labels", label(lambda pixels: pixels.astype(np.complex64)), ONE),
    bad(
        "colour tables that differ from file to file",
        all_labels(lambda p: p, lambda z: colours(0, 1, 2, 3) if z < 5 else colours(0, 2, 1, 3)),
        "colour",
    ),
    bad("a label file of three pages", file(pages, ONE), ONE),
    bad("a label file that ends too early", file(cut, ONE), ONE),
    bad("a label file of 0 bytes", file(lambda path: path.write_bytes(b""), ONE), ONE),
    bad("a label file that is a folder", file(made_folder, ONE), ONE, "folder"),
    bad("a label file that is a link to nothing", file(linked_to("nowhere.tif"), ONE), ONE),
    bad("a listed slice without labels", without(ONE), "slice 3"),
    bad("labels of a slice that is listed nowhere", file(copied("slice_2.tif"), ONE), "slice 2"),
    bad("labels of a slice that does not exist", file(copied("slice_99.tif"), ONE), "99"),
    bad("two label files of one slice", file(copied("slice_3_v2.tif"), ONE), "slice_3_v2.tif"),
    bad("a label file without a number", file(moved("third.tif"), ONE), "third.tif"),
    bad(
        "a folder of labels that is empty",
        without(*(f"annotations/slice_{z}.tif" for z in (1, 3, 5, 6))),
        "annotations",
    ),
    bad("labels that are all unlabelled", label(np.zeros_like), "3"),
    bad("training slices that are all unlabelled", all_labels(np.zeros_like), "slice 1"),
    bad("a `.png` of labels", one_file("labels.png"), "labels.png"),
    bad("a file of four planes, and no `slices`", one_file("labels.tif", slices=None), "labels.tif"),
    bad("a file of four planes, and three `slices`", one_file("labels.tif", slices="[1, 3, 5]"), "labels.tif"),
    bad(
        "a file of four planes, one for a slice that does not exist",
        one_file("labels.tif", slices="[1, 3, 5, 66]"),
        "66",
    ),
    bad("a file of four planes, two for one slice", one_file("labels.tif", slices="[1, 3, 5, 5]"), "5"),
    bad("`slices` that are texts", one_file("labels.tif", slices="[slice_1, slice_3, slice_5, slice_6]"), "slice_1"),
    bad(
        "a `.seg.nrrd` that calls the values other phases",
        one_file("labels.seg.nrrd", planes=8, slices=None, **SEGMENTS),
        "clinker",
    ),
    bad(
        "a sample that does not say where labels are unlabelled",
        folder(lambda path: edit_text(path / "sample.yaml", "unlabelled: [0]", "unlabelled: [9]")),
        "value 0",
    ),
    good("labels in 16 bit", label(lambda pixels: pixels.astype(np.uint16))),
    good("labels as integers in floats", label(lambda pixels: pixels.astype(np.float32))),
    good("labels with one colour table", all_labels(lambda pixels: pixels, lambda z: colours(0, 1, 2, 3))),
    good("label files called as the slice and a version", file(moved("slice_3_v2.tif"), ONE)),
    good("labels in one file", one_file("labels.tif")),
    good(
        "other values that are declared unlabelled",
        in_turn(label(with_values(9)), edited("unlabelled: [0]", "rest_unlabelled: true")),
    ),
]
