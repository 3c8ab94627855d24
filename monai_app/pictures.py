"""Pictures of a slice: detectors, truth, prediction and errors."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from monai_app.domain.model_spec import ModelSpec
from monai_app.stack import Phase, Stack
from monai_app.transforms import phase_labels

UNLABELLED_RGB = (255, 255, 255)
RIGHT_RGB = (225, 225, 225)
ERROR_RGB = (200, 0, 80)

LONGEST_SIDE = 1024
"""Larger slices are drawn from every n-th pixel, which is enough for a panel on a page."""


MOST_IN_A_ROW = 6
"""Maximum panels in a row."""


def colour_labels(labels: np.ndarray, phases: Sequence[Phase]) -> np.ndarray:
    """Colour labels (rows, columns), 0 unlabelled and 1..K, as RGB (rows, columns, 3) uint8."""
    table = np.array([UNLABELLED_RGB, *(phase.rgb for phase in phases)], dtype=np.uint8)
    coloured: np.ndarray = table[labels]
    return coloured


def colour_errors(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Colour wrong pixels; correct ones are light grey and unlabelled ones white. RGB (rows, columns, 3) uint8."""
    table = np.array([UNLABELLED_RGB, RIGHT_RGB, ERROR_RGB], dtype=np.uint8)
    return table[np.where(truth == 0, 0, np.where(truth == prediction, 1, 2))]


def draw_slice(
    images: Mapping[str, np.ndarray], truth: np.ndarray, prediction: np.ndarray, phases: Sequence[Phase], title: str
) -> Figure:
    """Draw a slice's detectors, truth, prediction and errors side by side, over a legend of the phases.

    There may be any number of detectors, with any names.

    Slices longer than ``LONGEST_SIDE`` are thinned.

    Args:
        images: grey values (rows, columns) by detector name, displayed from the 0.5th to the 99.5th percentile.
        truth: annotation (rows, columns), 0 unlabelled, 1..K.
        prediction: labels (rows, columns), 1..K.
        phases: the K phases.
        title: of the figure.
    """
    step = -(-max(truth.shape) // LONGEST_SIDE)
    truth, prediction = truth[::step, ::step], prediction[::step, ::step]
    panels = {name: _stretch(grey[::step, ::step]) for name, grey in images.items()}
    panels |= {
        "truth": colour_labels(truth, phases),
        "prediction": colour_labels(prediction, phases),
        "errors": colour_errors(truth, prediction),
    }
    lines = -(-len(panels) // MOST_IN_A_ROW)
    columns = -(-len(panels) // lines)
    height = lines * 4 * truth.shape[0] / truth.shape[1]
    figure = Figure(figsize=(4 * columns, height + 1.0), dpi=128, layout="constrained")
    ticks: dict[str, list[float]] = {"xticks": [], "yticks": []}  # hidden axes would be laid out, too
    places = list(figure.subplots(lines, columns, squeeze=False, subplot_kw=ticks).flat)
    for axes, (name, pixels) in zip(places, panels.items(), strict=False):
        axes.imshow(pixels, cmap="gray", interpolation="antialiased")
        axes.set_title(name)
    for axes in places:
        axes.set_axis_off()
    figure.suptitle(title)
    patches = [Patch(facecolor=phase.colour, edgecolor="black", label=phase.name) for phase in phases]
    patches.append(Patch(facecolor="#{:02x}{:02x}{:02x}".format(*ERROR_RGB), edgecolor="black", label="wrong"))
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), frameon=False)
    return figure


def draw_item(item: Mapping[str, Any], spec: ModelSpec, title: str) -> Figure:
    """Draw one item of an evaluator's output, see :func:`draw_slice`.

    Args:
        item: ``image`` with the stack's path and slice in its ``meta``, ``label`` annotation (1, rows, columns) and
            ``pred`` logits (K, rows, columns), NaN where not computed, which stays white.
        spec: of the model; its detectors are read from the stack with their original grey values.
        title: precedes the stack's name and the slice index.
    """
    stack, z = Stack.open(item["image"].meta["filename_or_obj"]), int(item["image"].meta["z"])
    images = {name: stack.read_slab(z, [name], 1)[0] for name in spec.detectors}
    truth = item["label"][0].cpu().numpy()
    prediction = phase_labels(item["pred"])[0].masked_fill(item["pred"][0].isnan(), 0).cpu().numpy()
    return draw_slice(images, truth, prediction, spec.phases, f"{title}, {stack.store_name}, slice {z}")


def as_png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    picture = BytesIO()
    FigureCanvasAgg(figure).print_figure(picture, format="png")
    return picture.getvalue()


def _stretch(grey: np.ndarray) -> np.ndarray:
    low, high = np.percentile(grey, (0.5, 99.5))
    stretched: np.ndarray = np.clip((grey - low) / max(high - low, 1e-9), 0, 1)
    return stretched
