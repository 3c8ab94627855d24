"""A stack as napari layers: data, keyword arguments and type of each, as napari readers return them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import dask.array as da

from monai_app.domain.phase import UNLABELLED, Phase
from monai_app.stack import Stack
from monai_app.stack.ngff import layout
from monai_app.stack.ngff.pyramid import level_shapes
from monai_app.viewer.content import CONFIDENCE, ShownLabels, grey_windows, shown_labels

LayerData: TypeAlias = tuple[Any, dict[str, Any], str]
"""What napari makes a layer of: arrays of axes z, y, x (a list of all levels, or one if there is one), keyword
arguments of the layer, and its kind."""


def napari_layers(stack: Stack, labels: Sequence[str] | None = None) -> list[LayerData]:
    """Describe the layers of a stack: detectors, maps of confidence, label images, with names and voxel sizes in nm.

    Chunks are read when they are shown. The first detector and the first label image are visible.

    Args:
        stack: the stack.
        labels: label images; ``annotation`` stands for the annotations; None for all.

    Raises:
        StackError: there is none of a name, or one is damaged.

    Example:
        >>> for data, options, kind in napari_layers(stack):                # doctest: +SKIP
        ...     viewer.add_layer(napari.layers.Layer.create(data, options, kind))
    """
    shown = shown_labels(stack, labels)
    return [
        *(_detector(stack, channel, window) for channel, window in enumerate(grey_windows(stack).values())),
        *(_confidence(stack, each) for each in shown if each.confidence),
        *(_labels(stack, each, visible=each == shown[0]) for each in shown),
    ]


def _detector(stack: Stack, channel: int, window: tuple[float, float]) -> LayerData:
    levels = [level[channel] for level in _levels(stack, stack.path, complete=None)]
    options = {"name": stack.detectors[channel], "contrast_limits": window, "visible": channel == 0}
    return _layer(stack, levels, {**options, "colormap": "gray"}, "image")


def _confidence(stack: Stack, labels: ShownLabels) -> LayerData:
    levels = _levels(stack, stack.path / labels.map_folder)
    options = {"name": f"{labels.name} {CONFIDENCE}", "contrast_limits": (0, 255), "visible": False}
    return _layer(stack, levels, {**options, "colormap": "viridis"}, "image")


def phase_options(phases: Sequence[Phase]) -> dict[str, Any]:
    """The arguments of a labels layer that say what its values mean: their colours and names."""
    nothing = (0.0, 0.0, 0.0, 0.0)
    colours: dict[int | None, tuple[float, ...]] = {None: nothing, UNLABELLED: nothing}
    colours |= {phase.value: (*(part / 255 for part in phase.rgb), 1.0) for phase in phases}
    names = {UNLABELLED: "unlabelled", **{phase.value: phase.name for phase in phases}}
    return {"colormap": colours, "features": {"index": list(names), "phase": list(names.values())}}


def space(stack: Stack) -> dict[str, Any]:
    """The arguments of a layer that say where a stack lies: the first voxel is centred at 0."""
    return {"scale": stack.voxel_nm, "units": ("nm",) * 3, "axis_labels": ("z", "y", "x")}


def _labels(stack: Stack, labels: ShownLabels, *, visible: bool) -> LayerData:
    options = {**phase_options(labels.phases), "name": labels.name, "opacity": 0.5, "visible": visible}
    return _layer(stack, _levels(stack, stack.path / labels.folder), options, "labels")


def _layer(stack: Stack, levels: list[da.Array], options: dict[str, Any], kind: str) -> LayerData:
    several = len(levels) > 1
    return (levels if several else levels[0]), {**options, **space(stack), "multiscale": several}, kind


def _levels(stack: Stack, folder: Path, *, complete: bool | None = False) -> list[da.Array]:
    """The arrays of all levels; of labels and maps, slices that were left out have no chunks and are 0."""
    opened = (
        layout.open_level(folder / str(level), complete=complete)
        for level in range(len(level_shapes(*stack.shape[1:])))
    )
    return [da.from_array(level, chunks=level.chunks) for level in opened]  # type: ignore[no-untyped-call]
