"""A stack as layers of napari, and as napari's own OME-Zarr reader sees it."""

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monai_app.errors import StackError
from monai_app.stack import Stack, ingest
from monai_app.viewer.content import shown_labels
from monai_app.viewer.layers import napari_layers
from tests.stack.samples import SampleFolder, pixels
from tests.viewer.conftest import COLUMNS, ROWS, SHAPE, SLICES

COLOURS = {1: (0x20 / 255, 0x30 / 255, 0x4F / 255, 1), 2: (0xC0 / 255, 0xB0 / 255, 0x90 / 255, 1)}


def by_name(stack: Stack) -> dict[str, Any]:
    return {options["name"]: (data, options, kind) for data, options, kind in napari_layers(stack)}


def test_layers_hold_the_pixels_of_the_store_in_all_levels(stack: Stack) -> None:
    layers = by_name(stack)
    assert list(layers) == ["ICE", "TLD", "u+net confidence", "u+net", "other", "annotation"]
    assert [kind for *_, kind in layers.values()] == ["image"] * 3 + ["labels"] * 3
    for data, *_ in layers.values():
        assert [level.shape for level in data] == [SHAPE, (SLICES, ROWS // 2, COLUMNS // 2)]
        assert all(level.chunks[0] == (1,) * SLICES for level in data)
    for z in range(SLICES):
        for name in stack.detectors:
            np.testing.assert_array_equal(layers[name][0][0][z], stack.read_slab(z, [name], 1)[0])
        np.testing.assert_array_equal(layers["u+net"][0][0][z], stack.read_labels("u+net", z))
        np.testing.assert_array_equal(layers["u+net confidence"][0][0][z], stack.read_map("u+net", "confidence", z))
    assert layers["other"][0][0].max(axis=(1, 2)).compute().tolist() == [2, 0, 0]  # slices that were left out
    assert layers["annotation"][0][0].max(axis=(1, 2)).compute().tolist() == [0, 2, 0]


@pytest.mark.filterwarnings("ignore")  # those of napari and what it imports
def test_napari_shows_names_colours_contrast_and_size(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    import napari
    from napari.components import ViewerModel

    viewer, ran = ViewerModel(), []
    monkeypatch.setattr(napari, "Viewer", lambda title: viewer)
    monkeypatch.setattr(napari, "run", lambda: ran.append(len(viewer.layers)))
    from monai_app.viewer import window

    window.show(stack)
    layers = viewer.layers
    assert ran == [len(napari_layers(stack))]
    assert [layer.name for layer in layers if layer.visible] == ["ICE", "u+net"]
    assert viewer.dims.point[0] == 20 * (SLICES // 2)
    assert viewer.canvas.overlays.scale_bar.visible
    for layer in layers:
        assert layer.scale.tolist() == [20, 10, 5]
        assert [str(unit) for unit in layer.units] == ["nanometer"] * 3
        assert layer.multiscale
    low, high = layers["TLD"].contrast_limits
    assert 0 < low < high < 65535
    for value, colour in COLOURS.items():
        np.testing.assert_allclose(layers["u+net"].colormap.map(value), colour, atol=1e-6)
    assert layers["u+net"].colormap.map(0)[3] == 0
    assert layers["u+net"].features["phase"].tolist() == ["unlabelled", "pore", "hydrate"]


@pytest.mark.filterwarnings("ignore")
def test_the_ome_zarr_reader_of_napari_finds_names_colours_and_size(stack: Stack) -> None:
    from napari.layers import Layer
    from napari_ome_zarr import napari_get_reader

    with contextlib.redirect_stdout(io.StringIO()):
        given = napari_get_reader(str(stack.path))()
    (image, options, _), *labels = given
    assert [name.split(": ")[1] for name in options["name"]] == ["ICE", "TLD"]
    assert options["visible"] == [True, False]
    np.testing.assert_array_equal(image[0][1, 2], stack.read_slab(2, ["TLD"], 1)[0])
    assert options["contrast_limits"][0] == list(napari_layers(stack)[0][1]["contrast_limits"])
    assert [(options["name"].split("/")[-1], kind) for _, options, kind in labels] == [
        (name, "labels") for name in ("annotation", "u+net", "other")
    ]
    for data, options, kind in labels:
        layer: Any = Layer.create(data, options, kind)
        assert layer.scale.tolist() == [20, 10, 5]
        np.testing.assert_allclose(layer.affine.affine_matrix, np.eye(4))  # the scale is applied once
        for value, colour in COLOURS.items():
            np.testing.assert_allclose(layer.colormap.map(value), colour, atol=1e-6)


def test_label_images_are_shown_as_asked(stack: Stack) -> None:
    assert [each.name for each in shown_labels(stack, ["annotation", "other", "annotation"])] == ["annotation", "other"]
    assert shown_labels(stack, []) == ()
    with pytest.raises(StackError, match=r"no finished label image 'a'; available are: u\+net, other, annotation"):
        shown_labels(stack, ["a"])


def test_a_stack_of_one_small_detector_is_one_layer(tmp_path: Path) -> None:
    folder = SampleFolder(tmp_path)
    folder.detector("SE", pixels(1, 5, 6))
    ((data, options, _),) = napari_layers(ingest(folder.write(), folder.target))
    np.testing.assert_array_equal(data, folder.images["SE"])
    assert not options["multiscale"]
