"""What label values mean: by the description, and never against what the files say themselves."""

from pathlib import Path

import nrrd
import numpy as np
import pytest
from PIL import Image

from monai_app.errors import AnnotationError, StackError
from monai_app.io import read_volume
from monai_app.io.base import Request
from monai_app.io.opening import open_planes
from monai_app.stack import Stack, ingest
from tests.stack.samples import SampleFolder, pixels

COLOURS = {"pore": (0, 0, 0), "hydrate": (86, 180, 233), "clinker": (230, 159, 0)}
LABELS = np.arange(8 * 9).reshape(8, 9) % 3


@pytest.fixture
def painted(tmp_path: Path) -> SampleFolder:
    """Four slices, of which 1 and 2 are annotated with 0, 1 and 2 for three phases; the label files are to come."""
    sample = SampleFolder(tmp_path)
    sample.detector("ICE", pixels(4, 8, 9))
    sample.annotate({}, train=[1], test=[2], mapping=dict(enumerate(COLOURS)))
    sample.content["phases"] = [
        {"value": value, "name": name, "colour": "#{:02x}{:02x}{:02x}".format(*colour)}
        for value, (name, colour) in enumerate(COLOURS.items(), 1)
    ]
    return sample


def made(sample: SampleFolder) -> Stack:
    return ingest(sample.write(), sample.target)


def indexed(order: list[str], colours: int = 256) -> Image.Image:
    """The labels as an image whose colour table is in this order."""
    place = np.array([order.index(name) for name in COLOURS], np.uint8)
    image = Image.new("P", (9, 8))
    image.putdata(place[LABELS].ravel().tolist())
    image.putpalette([part for name in order for part in COLOURS[name]] + [7] * 3 * (colours - 3))
    return image


def test_indices_of_colour_tables_that_differ_are_refused(painted: SampleFolder) -> None:
    for z, order in ((1, list(COLOURS)), (2, list(reversed(COLOURS)))):
        indexed(order).save(painted.root / "annotations" / f"slice_{z}.tif")
    with pytest.raises(AnnotationError, match=r"slice_2\.tif and .*slice_1\.tif show value 0 in different colours"):
        made(painted)


def test_colour_tables_may_differ_where_no_pixel_is(painted: SampleFolder) -> None:
    indexed(list(COLOURS)).save(painted.root / "annotations" / "slice_1.tif")
    indexed(list(COLOURS), 200).save(painted.root / "annotations" / "slice_2.tif")
    np.testing.assert_array_equal(made(painted).read_annotation(2), LABELS + 1)


def test_pages_of_one_file_have_one_colour_table(painted: SampleFolder) -> None:
    first, second = indexed(list(COLOURS)), indexed(list(reversed(COLOURS)))
    painted.content["annotations"] |= {"source": "labels.tif", "slices": [1, 2]}
    first.save(painted.root / "labels.tif", save_all=True, append_images=[second])
    with pytest.raises(AnnotationError, match=r"page 1 and .*page 0 show value 0 in different colours"):
        made(painted)


def segments(path: Path, names: dict[int, str], values: list[str] | None = None) -> None:
    """Write the labels + 1 as 3D Slicer does: names and values are in the header."""
    header = {
        f"Segment{place}_{key}": text
        for place, (value, name) in enumerate(names.items())
        for key, text in (("Name", name), ("LabelValue", (values or list(map(str, names)))[place]), ("Layer", "0"))
    }
    nrrd.write(str(path), np.stack([LABELS + 1] * 2).transpose(2, 1, 0).astype(np.uint8), header)


def test_segments_have_the_names_that_the_file_gives(painted: SampleFolder) -> None:
    path = painted.root / "labels.seg.nrrd"
    painted.content["annotations"] |= {"source": path.name, "slices": [1, 2], "mapping": dict(enumerate(COLOURS, 1))}
    segments(path, dict(enumerate(map(str.upper, COLOURS), 1)))
    np.testing.assert_array_equal(made(painted).read_annotation(1), LABELS + 1)
    segments(path, {1: "clinker", 2: "pore", 3: "hydrate"})
    assert read_volume(path).segments == open_planes(path, Request(labels=True)).files[0].segments
    assert read_volume(path).segments == {1: "clinker", 2: "pore", 3: "hydrate"}
    with pytest.raises(AnnotationError, match=r"says that value 1 is 'clinker' and 'mapping' that it is 'pore'"):
        ingest(painted.write(), painted.target, overwrite=True)


def test_names_that_are_no_phases_say_nothing(painted: SampleFolder) -> None:
    path = painted.root / "labels.seg.nrrd"
    painted.content["annotations"] |= {"source": path.name, "slices": [1, 2], "mapping": dict(enumerate(COLOURS, 1))}
    segments(path, {1: "Segment_1", 2: "Segment_2", 3: "clinker"})
    np.testing.assert_array_equal(made(painted).read_annotation(1), LABELS + 1)


@pytest.mark.parametrize("values", [["1", "1", "2"], ["1", "x", "2"]])
def test_segments_without_a_value_of_their_own_are_refused(painted: SampleFolder, values: list[str]) -> None:
    segments(painted.root / "a.seg.nrrd", {1: "pore", 2: "hydrate", 3: "clinker"}, values)
    with pytest.raises(StackError, match=r"segment 'hydrate' has the value '[1x]', which is not a separate number"):
        open_planes(painted.root / "a.seg.nrrd", Request(labels=True))
