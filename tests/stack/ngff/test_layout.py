"""The store as independent programs see it: ome_zarr's reader and the OME-NGFF models."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import zarr
from ome_zarr_models.v05.image import Image
from ome_zarr_models.v05.image_label import ImageLabel

from monai_app.stack import Stack, ingest
from monai_app.stack.ngff import layout
from monai_app.stack.ngff.pyramid import halve_image, halve_labels
from tests.stack.samples import SampleFolder, label_plane, pixels

ROWS, COLUMNS = 1031, 518


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleFolder:
    """Two detectors, 3 slices of 1031 x 518 16-bit pixels: 3 levels, 2 chunks a slice."""
    folder = SampleFolder(tmp_path_factory.mktemp("layout"))
    folder.detector("ICE", pixels(3, ROWS, COLUMNS, "uint16", seed=1))
    folder.detector("TLD", pixels(3, ROWS, COLUMNS, "uint16", seed=2))
    folder.annotate({1: label_plane(ROWS, COLUMNS)}, train=[1], test=[])
    return folder


@pytest.fixture(scope="module")
def stack(sample: SampleFolder) -> Stack:
    stack = ingest(sample.write(), sample.target)
    stack.write_labels("unet_ice+tld_3", (label_plane(ROWS, COLUMNS, z) % 3 for z in range(3)))
    return stack


def _halvings(plane: npt.NDArray[Any], halve: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    return [plane, halve(plane), halve(halve(plane))]


def _nodes(stack: Stack) -> dict[str, Any]:
    # Imported here: the reader pulls in dask, which no other test needs.
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    return {node.zarr.basename(): node for node in Reader(parse_url(stack.path))()}


@pytest.mark.filterwarnings("default")  # warnings of ome_zarr and dask are theirs
def test_ome_zarr_reads_the_image(sample: SampleFolder, stack: Stack) -> None:
    node = _nodes(stack)["sample.ome.zarr"]
    assert [axis["name"] for axis in node.metadata["axes"]] == ["c", "z", "y", "x"]
    assert [axis.get("unit") for axis in node.metadata["axes"]] == [None, "nanometer", "nanometer", "nanometer"]
    assert node.metadata["channel_names"] == ["ICE", "TLD"]
    assert [level.shape for level in node.data] == [(2, 3, 1031, 518), (2, 3, 516, 259), (2, 3, 258, 130)]
    for channel, name in enumerate(("ICE", "TLD")):
        for z in range(3):
            for level, expected in enumerate(_halvings(sample.images[name][z], halve_image)):
                np.testing.assert_array_equal(node.data[level][channel, z].compute(), expected)
    (scale, _), (half, shift), (_, shift4) = node.metadata["coordinateTransformations"]
    assert scale == {"type": "scale", "scale": [1.0, 20.0, 10.0, 5.0]}
    assert half == {"type": "scale", "scale": [1.0, 20.0, 20.0, 10.0]}
    assert shift == {"type": "translation", "translation": [0.0, 0.0, 5.0, 2.5]}
    assert shift4 == {"type": "translation", "translation": [0.0, 0.0, 15.0, 7.5]}
    for low, high in node.metadata["contrast_limits"]:
        assert 0 <= low < high <= 65535


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["annotation", "unet_ice+tld_3"])
def test_ome_zarr_reads_labels_with_colours(stack: Stack, name: str) -> None:
    node = _nodes(stack)[name]
    assert [axis["name"] for axis in node.metadata["axes"]] == ["z", "y", "x"]
    assert node.metadata["color"] == {
        0: [0, 0, 0, 0],
        1: [0x20 / 255, 0x30 / 255, 0x4F / 255, 1],
        2: [0xC0 / 255, 0xB0 / 255, 0x90 / 255, 1],
    }
    assert node.metadata["properties"][2] == {"name": "hydrate"}
    plane = stack.read_annotation(1) if name == "annotation" else label_plane(ROWS, COLUMNS, 1) % 3
    for level, expected in enumerate(_halvings(plane, halve_labels)):
        np.testing.assert_array_equal(node.data[level][1].compute(), expected)


@pytest.mark.filterwarnings("default")
def test_ome_zarr_reads_a_stack_without_annotations(tmp_path: Path) -> None:
    folder = SampleFolder(tmp_path)
    folder.detector("SE", pixels(1, 5, 6))
    nodes = _nodes(ingest(folder.write(), folder.target))
    assert sorted(nodes) == ["labels", "sample.ome.zarr"]


def test_the_ngff_models_accept_image_and_labels(stack: Stack) -> None:
    image = Image.from_zarr(zarr.open_group(stack.path, mode="r"))
    assert image.labels is not None
    assert image.labels.label_paths == ["annotation", "unet_ice+tld_3"]
    ImageLabel.from_zarr(zarr.open_group(stack.path / "labels" / "unet_ice+tld_3", mode="r"))


def test_arrays_are_zarr_v3_with_chunks_of_one_slice(stack: Stack) -> None:
    array = zarr.open_array(stack.path / "0", mode="r")
    assert array.metadata.zarr_format == 3
    assert array.chunks == (1, 1, 1024, 518)
    assert array.metadata.dimension_names == ("c", "z", "y", "x")
    _, codec, checksum = json.loads((stack.path / "0" / "zarr.json").read_text())["codecs"]
    assert checksum["name"] == "crc32c"
    assert (codec["name"], codec["configuration"]["cname"]) == ("blosc", "zstd")


def test_an_error_in_the_metadata_is_found(stack: Stack, monkeypatch: pytest.MonkeyPatch, sample: SampleFolder) -> None:
    good = layout.image_metadata

    def without_space(*arguments: Any) -> dict[str, Any]:
        metadata = good(*arguments)
        metadata["multiscales"][0]["axes"].pop()
        return metadata

    monkeypatch.setattr(layout, "image_metadata", without_space)
    with pytest.raises(ValueError, match="axes"):
        ingest(sample.write(), sample.root / "bad.ome.zarr")
    assert not (sample.root / "bad.ome.zarr").exists()
