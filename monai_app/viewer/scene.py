"""What Neuroglancer shows of a stack: its layers, their colours and the first view."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np
from neuroglancer import CoordinateSpace, ImageLayer, ManagedLayer, SegmentationLayer, ViewerState

from monai_app.stack import Stack
from monai_app.viewer.content import CONFIDENCE, ShownLabels, grey_windows

_VIEW = (800, 600)
"""Pixels of a browser's window that the first view is made for: columns, rows."""

_GREY = """#uicontrol invlerp grey
void main() {
  emitGrayscale(grey());
}
"""

_COLOURED = """#uicontrol invlerp confidence
void main() {
  emitRGB(colormapCubehelix(confidence()));
}
"""


def fill(state: ViewerState, stack: Stack, labels: Sequence[ShownLabels], store: str, phases: str) -> None:
    """Describe a stack to Neuroglancer: detectors, maps of confidence, label images; the first of each kind is visible.

    Args:
        state: what the page shows; it is filled.
        stack: the stack.
        labels: the label images.
        store: address of the store's folder.
        phases: address of the folder in which the names of the phases of every label image are found.
    """
    slices, rows, columns = stack.shape
    z, y, x = stack.voxel_nm
    state.title = stack.name
    state.dimensions = CoordinateSpace(names=["x", "y", "z"], units="nm", scales=[x, y, z])
    state.position = [(columns - 1) / 2, (rows - 1) / 2, slices // 2]  # integers are centres of voxels, as in NGFF
    # Voxels of the shortest edge for a pixel of the screen.
    state.cross_section_scale = max(columns * x / _VIEW[0], rows * y / _VIEW[1]) / min(stack.voxel_nm)
    state.layout = "xy"
    state.show_axis_lines = False
    for layer in _layers(stack, labels, store, phases):
        state.layers.append(layer)
    if labels:
        state.selected_layer.layer, state.selected_layer.visible = labels[0].name, True


def _layers(stack: Stack, labels: Sequence[ShownLabels], store: str, phases: str) -> Iterator[ManagedLayer]:
    top = float(np.iinfo(stack.dtype).max)
    for channel, (detector, window) in enumerate(grey_windows(stack).items()):
        control = {"grey": {"range": list(window), "window": [0.0, top]}}
        place: dict[str, Any] = {
            "local_dimensions": CoordinateSpace(names=["c'"], units="", scales=[1]),
            "local_position": [channel],
        }
        layer = ImageLayer(source=_zarr(store), shader=_GREY, shader_controls=control, opacity=1.0, **place)
        yield ManagedLayer(detector, layer, visible=channel == 0)
    for each in labels:
        if each.confidence:
            control = {"confidence": {"range": [0, 255]}}
            source = _zarr(f"{store}/{quote(each.map_folder)}")
            layer = ImageLayer(source=source, shader=_COLOURED, shader_controls=control, opacity=1.0)
            yield ManagedLayer(f"{each.name} {CONFIDENCE}", layer, visible=False)
    for each in labels:
        layer = SegmentationLayer(
            source=[_zarr(f"{store}/{quote(each.folder)}"), f"precomputed://{phases}/{quote(each.name)}"],
            segments=[phase.value for phase in each.phases],
            segment_colors={phase.value: phase.colour for phase in each.phases},
            ignore_null_visible_set=False,  # a phase that is switched off is not shown, also the last one
            tab="segments",
        )
        yield ManagedLayer(each.name, layer, visible=each == labels[0])


def _zarr(folder: str) -> str:
    return f"zarr3://{folder}/"


def phase_properties(labels: ShownLabels) -> dict[str, Any]:
    """The names of a label image's phases in Neuroglancer's format of segment properties."""
    names = {"id": "label", "type": "label", "values": [phase.name for phase in labels.phases]}
    inline = {"ids": [str(phase.value) for phase in labels.phases], "properties": [names]}
    return {"@type": "neuroglancer_segment_properties", "inline": inline}
