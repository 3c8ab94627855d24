"""What napari shows of a stack, as layer data: array, options and type of each layer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import zarr

from monai_app.domain.phase import Phase
from monai_app.stack import Stack
from monai_app.stack.label_images.registry import read_phases
from monai_app.stack.ngff import layout

LayerData = tuple[Any, dict[str, Any], str]


def image_layers(stack: Stack) -> list[LayerData]:
    """The detectors of a stack as images; the first one is shown."""
    attributes: Any = zarr.open_group(stack.path, mode="r").attrs["ome"]
    windows = [channel["window"] for channel in attributes["omero"]["channels"]]
    levels = _levels(stack.path)
    return [
        (
            [level[channel] for level in levels],
            {
                **placement(stack),
                "name": detector,
                "colormap": "gray",
                "contrast_limits": (windows[channel]["start"], windows[channel]["end"]),
                "visible": channel == 0,
            },
            "image",
        )
        for channel, detector in enumerate(stack.detectors)
    ]


def prediction_layers(stack: Stack, name: str) -> list[LayerData]:
    """A label image in the colours of its phases, and its confidence where it has one, which is not shown at first."""
    folder = stack.path / layout.LABELS / name
    phases = read_phases(stack.path, name)
    found: list[LayerData] = []
    if (folder / "confidence").is_dir():
        options = {"name": f"{name} confidence", "colormap": "viridis", "contrast_limits": (0, 255), "visible": False}
        found.append((_levels(folder / "confidence"), {**placement(stack), **options}, "image"))
    found.append((_levels(folder), {**placement(stack), "name": name, **coloured(phases)}, "labels"))
    return found


def placement(stack: Stack) -> dict[str, Any]:
    """Axes and voxel size of a stack's layers."""
    return {"scale": stack.voxel_nm, "units": ("nm", "nm", "nm"), "axis_labels": ("z", "y", "x")}


def coloured(phases: Sequence[Phase]) -> dict[str, Any]:
    """The colours of a labels layer of phases, and their names."""
    colours: dict[int | None, Any] = {None: (0, 0, 0, 0), 0: (0, 0, 0, 0)}
    colours |= {phase.value: tuple(each / 255 for each in phase.rgb) for phase in phases}
    names = ["unlabelled", *(phase.name for phase in phases)]
    return {"colormap": colours, "features": {"index": [*range(len(names))], "phase": names}}


def _levels(folder: Path) -> list[da.Array]:
    levels = sorted((path for path in folder.iterdir() if path.name.isdecimal()), key=lambda path: int(path.name))
    return [da.from_zarr(layout.open_level(level)) for level in levels]
