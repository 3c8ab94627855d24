from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from monai_app.errors import AnnotationError, StackError
from monai_app.io.opening import open_planes
from monai_app.stack import SampleDescription
from monai_app.stack.ingestion.annotations import Annotations, find_annotations, map_values, open_labels
from monai_app.stack.ingestion.slice_index import SliceIndex
from tests.stack.samples import SampleFolder, label_plane


def _find(sample: SampleFolder) -> Annotations:
    description = SampleDescription.from_yaml(sample.write())
    sources = {name: open_planes(entry.source).numbered() for name, entry in description.detectors.items()}
    shape = next(iter(sources.values())).shape
    return find_annotations(description, open_labels(description), SliceIndex(sources), shape)


def _expected(plane: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    return np.select([plane == 0, plane == 7], [1, 2], 0)


@given(data=st.data(), dtype=st.sampled_from(["uint8", "uint16", "int32"]))
def test_mapping_round_trip(data: st.DataObject, dtype: str) -> None:
    """Any phases, written with any distinct source values, come back as they were."""
    labels = data.draw(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.integers(0, 5)))
    limits = np.iinfo(dtype)
    codes = data.draw(st.lists(st.integers(limits.min, limits.max), min_size=6, max_size=6, unique=True))
    source = np.array(codes, dtype)[labels]
    np.testing.assert_array_equal(map_values(source, {code: phase for phase, code in enumerate(codes)}), labels)


def test_values_outside_the_mapping_are_named() -> None:
    source = np.array([[0, 3, 3, 9]], np.uint8)
    with pytest.raises(AnnotationError, match=r"value 3, 9 is neither .* \(3 pixels\).*rest_unlabelled: true"):
        map_values(source, {0: 1})
    assert map_values(source, {0: 1}, rest_unlabelled=True).tolist() == [[1, 0, 0, 0]]


def test_values_that_the_type_cannot_hold_are_no_trouble() -> None:
    assert map_values(np.array([[0, 255]], np.uint8), {0: 1, 255: 2, -1: 0, 300: 0}).tolist() == [[1, 2]]


def test_finds_label_files_by_stem(sample: SampleFolder) -> None:
    found = _find(sample)
    assert (found.train, found.test, found.slices) == ((2, 10), (5,), (2, 5, 10))
    for z in found.slices:
        labels = found.read(z)
        assert labels.dtype == np.uint8
        np.testing.assert_array_equal(labels, _expected(label_plane(20, 33, z)))


def test_finds_label_files_by_last_number(sample: SampleFolder) -> None:
    for path in list((sample.root / "annotations").iterdir()):
        path.rename(path.with_name(path.name.replace("slice_", "painted_2026_00")))
    np.testing.assert_array_equal(_find(sample).read(10), _expected(label_plane(20, 33, 10)))


def test_split_may_name_stems(sample: SampleFolder) -> None:
    sample.content["annotations"] |= {"train": ["slice_10", 2], "test": ["slice_5"]}
    assert (_find(sample).train, _find(sample).test) == ((2, 10), (5,))


def test_nothing_annotated(sample: SampleFolder) -> None:
    del sample.content["annotations"]
    assert _find(sample).slices == ()


@pytest.mark.parametrize("slices", [[5, 2, 10], None])
def test_multi_page_source(sample: SampleFolder, slices: list[int] | None) -> None:
    pages = [label_plane(20, 33, z) for z in (slices or range(12))]
    tifffile.imwrite(sample.root / "labels.tif", np.stack(pages), photometric="minisblack", compression="zlib")
    sample.content["annotations"]["source"] = "labels.tif"
    if slices:
        sample.content["annotations"]["slices"] = slices
    found = _find(sample)
    assert found.slices == (2, 5, 10)
    for z in found.slices:
        np.testing.assert_array_equal(found.read(z), _expected(label_plane(20, 33, z)))


def test_palette_labels_are_read_as_indices(sample: SampleFolder) -> None:
    image = Image.fromarray(label_plane(20, 33, 2)).convert("P")
    image.putdata(label_plane(20, 33, 2).ravel().tolist())
    image.putpalette([9] * 768)
    image.save(sample.root / "annotations" / "slice_2.tif")
    np.testing.assert_array_equal(_find(sample).read(2), _expected(label_plane(20, 33, 2)))


def test_reading_names_file_and_value(sample: SampleFolder) -> None:
    tifffile.imwrite(sample.root / "annotations" / "slice_5.tif", np.full((20, 33), 42, np.uint8))
    with pytest.raises(AnnotationError, match=r"annotations/slice_5\.tif: value 42 .*mapping"):
        _find(sample).read(5)


def test_reading_names_page_and_value(sample: SampleFolder) -> None:
    tifffile.imwrite(sample.root / "labels.tif", np.full((12, 20, 33), 42, np.uint8), photometric="minisblack")
    sample.content["annotations"]["source"] = "labels.tif"
    with pytest.raises(AnnotationError, match=r"labels\.tif, page 5: value 42"):
        _find(sample).read(5)


def test_rest_unlabelled(sample: SampleFolder) -> None:
    tifffile.imwrite(sample.root / "annotations" / "slice_5.tif", np.full((20, 33), 42, np.uint8))
    sample.content["annotations"]["rest_unlabelled"] = True
    assert not _find(sample).read(5).any()


def test_reading_another_slice_is_refused(sample: SampleFolder) -> None:
    with pytest.raises(AnnotationError, match=r"slice 3 is not annotated; the annotated slices are 2, 5, 10"):
        _find(sample).read(3)


def test_refuses_an_annotation_for_a_slice_that_is_not_there(sample: SampleFolder) -> None:
    (sample.root / "annotations" / "slice_5.tif").rename(sample.root / "annotations" / "slice_99.tif")
    with pytest.raises(AnnotationError, match=r"slice_99\.tif is an annotation for a slice that does not exist"):
        _find(sample)


def test_refuses_two_annotations_of_a_slice(sample: SampleFolder) -> None:
    tifffile.imwrite(sample.root / "annotations" / "label_5.tif", label_plane(20, 33))
    with pytest.raises(AnnotationError, match=r"slice_5\.tif and label_5\.tif are both annotations of slice 5"):
        _find(sample)


def test_refuses_an_annotation_that_is_not_listed(sample: SampleFolder) -> None:
    sample.content["annotations"]["train"] = [2]
    with pytest.raises(AnnotationError, match=r"slice_10\.tif annotates slice 10, which is listed in neither"):
        _find(sample)


def test_refuses_a_listed_slice_without_annotation(sample: SampleFolder) -> None:
    sample.content["annotations"]["train"] = [2, 3, 10]
    with pytest.raises(AnnotationError, match=r"slice 3 is listed in 'train' or 'test' but .* has no annotation"):
        _find(sample)


def test_refuses_a_test_slice_that_also_trains(sample: SampleFolder) -> None:
    sample.content["annotations"]["train"] = [2, 5, 10]
    with pytest.raises(AnnotationError, match="slice 5 is listed in both 'train' and 'test'"):
        _find(sample)


def test_refuses_a_slice_listed_twice(sample: SampleFolder) -> None:
    sample.content["annotations"]["train"] = [2, 10, "slice_2"]
    with pytest.raises(AnnotationError, match=r"slice 2 \('slice_2'\) is listed twice"):
        _find(sample)


def test_refuses_a_listed_slice_that_is_not_there(sample: SampleFolder) -> None:
    sample.content["annotations"]["test"] = [12]
    with pytest.raises(AnnotationError, match="annotations: test: slice 12 does not exist"):
        _find(sample)


def test_refuses_annotations_of_another_shape(sample: SampleFolder) -> None:
    tifffile.imwrite(sample.root / "annotations" / "slice_5.tif", label_plane(33, 20))
    with pytest.raises(AnnotationError, match=r"slice_5\.tif has 33 x 20 pixels but the slices have 20 x 33"):
        _find(sample)


def test_refuses_slices_of_a_folder(sample: SampleFolder) -> None:
    sample.content["annotations"]["slices"] = [2, 5, 10]
    with pytest.raises(AnnotationError, match="'slices' applies to a file"):
        _find(sample)


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        (None, "has 3 pages and the stack has 12 slices.*add 'slices"),
        ([2, 5], "'slices' names 2 slices but .* has 3 pages"),
        ([2, 5, 12], "annotations: slices: slice 12 does not exist"),
    ],
)
def test_refuses_slices_that_do_not_fit_the_pages(sample: SampleFolder, slices: list[int] | None, message: str) -> None:
    pages = np.stack([label_plane(20, 33, z) for z in range(3)])
    tifffile.imwrite(sample.root / "labels.tif", pages, photometric="minisblack")
    sample.content["annotations"]["source"] = "labels.tif"
    if slices:
        sample.content["annotations"]["slices"] = slices
    with pytest.raises(AnnotationError, match=message):
        _find(sample)


def test_refuses_rgb_annotations(sample: SampleFolder) -> None:
    Image.new("RGB", (33, 20)).save(sample.root / "annotations" / "slice_5.tif")
    with pytest.raises(StackError, match=r"slice_5\.tif: it is a colour image"):
        _find(sample)
