"""Make the README's picture: a slice of both detectors, the truth, and what models of one and of both make of it.

    python tools/make_front_picture.py cement.ome.zarr study docs/images/detectors.jpg

The study is one of ``configs/studies/nine.yaml`` that is done; the slice is the first that its models were scored on.
"""

import argparse
from pathlib import Path

import numpy as np
from make_pictures import add_scale_bar, picture_of, save
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from monai_app.bundle.model import load_model
from monai_app.device.choose import chosen_device
from monai_app.inference.predict import Predictor
from monai_app.metrics import count_pixels, mean_iou
from monai_app.pictures import colour_labels
from monai_app.stack import Stack

VARIANT, SEED = "sensor3d_{}_3", 0
"""The models that are shown: the network that is best on every set of detectors, and one of its trainings."""


def main() -> None:
    """Make the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stack", type=Path, help="the stack that the study is of")
    parser.add_argument("study", type=Path, help="the study's folder")
    parser.add_argument("target", type=Path, help="the picture, .jpg")
    given = parser.parse_args()
    stack = Stack.open(given.stack)
    z, phases = stack.test_slices[0], stack.phases
    truth = stack.read_annotation(z)
    panels = {f"{name}, raw": stack.read_slab(z, [name], 1)[0] for name in stack.detectors}
    panels["truth"] = colour_labels(truth, phases)
    for detectors in (*stack.detectors, "+".join(stack.detectors)):
        (runs,) = given.study.glob(f"runs/*/{VARIANT.format(detectors)}")
        labels = predicted(stack, runs / f"seed_{SEED}", z)
        score = mean_iou(count_pixels(truth, labels, len(phases)))
        panels[f"Sensor-3D of {detectors.replace('+', ' and ')}: mean IoU {score:.2f}"] = colour_labels(labels, phases)
    save(drawn(stack, panels), given.target)


def predicted(stack: Stack, run: Path, z: int) -> np.ndarray:
    """Return the labels that a trained run gives a slice: (rows, columns), 1..K."""
    ((_, planes),) = Predictor(load_model(run), chosen_device()).predict(stack, [z])
    labels: np.ndarray = planes["labels"]
    return labels


def drawn(stack: Stack, panels: dict[str, np.ndarray]) -> Image.Image:
    """Draw planes in two rows, with names and scores under them, over the names of the phases."""
    figure = Figure(figsize=(12, 9), layout="constrained")
    for axes, (title, plane) in zip(figure.subplots(2, 3).flat, panels.items(), strict=True):
        axes.imshow(plane, cmap="gray")
        axes.set_xlabel(title, fontsize=13)
        axes.set(xticks=[], yticks=[])
    add_scale_bar(figure.axes[0], stack)
    handles = [Rectangle((0, 0), 1, 1, color=phase.colour) for phase in stack.phases]
    names = [phase.name for phase in stack.phases]
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=13)
    return picture_of(figure)


if __name__ == "__main__":
    main()
