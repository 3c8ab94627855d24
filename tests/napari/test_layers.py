"""Layers as napari takes them: names, colours, places and pixels."""

import shutil
from pathlib import Path

import numpy as np

from monai_app.napari.layers import image_layers, prediction_layers
from monai_app.stack import Stack


def test_detectors_are_images_to_scale(tiny_stack: Stack) -> None:
    layers = image_layers(tiny_stack)
    assert [options["name"] for _, options, _ in layers] == ["ICE", "TLD"]
    assert [options["visible"] for _, options, _ in layers] == [True, False]
    for channel, (levels, options, kind) in enumerate(layers):
        assert (kind, options["scale"], options["units"]) == ("image", (20, 10, 10), ("nm",) * 3)
        expected = tiny_stack.read_slab(3, tiny_stack.detectors, 1)[channel]
        np.testing.assert_array_equal(np.asarray(levels[0][3]), expected)
        low, high = options["contrast_limits"]
        assert 0 <= low < np.median(expected) < high <= 255


def test_a_label_image_has_the_names_and_colours_of_its_phases(tiny_stack: Stack, tmp_path: Path) -> None:
    stack = Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "tiny.ome.zarr"))
    planes = [np.full(stack.shape[1:], 1 + z % 3, np.uint8) for z in range(stack.shape[0])]
    stack.write_labels("unet", iter(planes))
    ((levels, options, kind),) = prediction_layers(stack, "unet")
    assert (kind, options["name"]) == ("labels", "unet")
    np.testing.assert_array_equal(np.asarray(levels[0]), planes)
    assert options["features"]["phase"] == ["unlabelled", "pore", "hydrate", "clinker"]
    assert options["colormap"][3] == (0xD5 / 255, 0x5E / 255, 0)
    assert options["colormap"][0][3] == 0
