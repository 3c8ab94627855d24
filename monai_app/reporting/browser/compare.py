"""Comparison of two layers of a slice: detectors, truth, prediction and errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from monai_app.domain.phase import Phase
from monai_app.pictures import ERROR_RGB, RIGHT_RGB
from monai_app.reporting.browser.encoding import Bytes, Grey, Window, packed, picture_shape, thin_grey, thin_labels
from monai_app.reporting.browser.markup import phase_list, slice_data, widget


@dataclass(frozen=True)
class ComparedSlice:
    """An annotated and segmented slice.

    Args:
        name: its name, such as ``"cement, slice 7"``.
        images: per detector name its grey values (rows, columns), uint8 or uint16.
        truth: annotation (rows, columns), 0 unlabelled, 1..K.
        prediction: labels (rows, columns), 1..K; 0 where nothing was predicted, which counts neither as correct nor as
        wrong.
        voxel_nm: size of a voxel z, y, x in nm.
    """

    name: str
    images: Mapping[str, Grey]
    truth: Bytes
    prediction: Bytes
    voxel_nm: tuple[float, float, float]


_SIDES = (1024, 768, 512, 384, 256)
"""Maximum pixels of the longer side of a picture, from best to worst."""


def compare_layers(slices: Sequence[ComparedSlice], phases: Sequence[Phase], *, budget: int) -> Markup:
    """Return HTML for comparing two layers of a slice with a movable divider.

    The layers are every detector, in 256 grey values from its 0.5th to its 99.5th percentile, the truth, the prediction
    and the errors, reduced to fit the budget; about 1 byte per pixel and detector.

    Args:
        slices: one, or several to choose from.
        phases: the K phases.
        budget: maximum bytes of the slices; they are reduced to no less than 256 pixels per side.
    """
    about = {
        "phases": phase_list(phases),
        "right_rgb": RIGHT_RGB,
        "error_rgb": ERROR_RGB,
        "slices": [each.name for each in slices],
        "detectors": list(slices[0].images),
    }
    layers = [*slices[0].images, "truth", "prediction", "errors"]
    chosen = {"left": layers[0], "right": "prediction"}
    for side in _SIDES:
        encoded = [_encode(each, side) for each in slices]
        if sum(map(len, encoded)) <= budget:
            break
    return widget("compare.html", about, encoded, layers=layers, chosen=chosen, divided=True)


def _encode(compared: ComparedSlice, side: int) -> str:
    rows, columns = compared.truth.shape
    shape = picture_shape(rows, columns, side)
    windows = {name: Window.of([plane]) for name, plane in compared.images.items()}
    content: dict[str, Any] = {
        "rows": rows,
        "columns": columns,
        "height": shape[0],
        "width": shape[1],
        "voxel_nm": compared.voxel_nm,
        "windows": [[window.low, window.high] for window in windows.values()],
        "grey": [packed(thin_grey(windows[name].apply(plane), shape)) for name, plane in compared.images.items()],
        "truth": packed(thin_labels(compared.truth, shape)),
        "prediction": packed(thin_labels(compared.prediction, shape)),
    }
    return slice_data(content)
