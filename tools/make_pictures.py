"""Make the pictures of the tutorial and of the napari page from the results of tools/demo.

    tools/demo
    python tools/make_pictures.py demo docs/images

Needs napari and Chromium, which tools/install-screen installs.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from playwright.sync_api import sync_playwright

from monai_app.pictures import as_png, colour_labels
from monai_app.reporting.pdf import find_browser
from monai_app.stack import Stack
from monai_app.stack.label_images.removing import remove_labels

PAINTED, SEGMENTED = 11, 8
"""An annotated slice, and one that is not."""

BAR_UM = 2
"""Length of the scale bar."""

WIDTH, QUALITY = 1200, 82
"""Maximum number of columns of a picture, and its JPEG quality."""


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="folder written by tools/demo")
    parser.add_argument("target", type=Path, help="folder for the pictures")
    given = parser.parse_args()
    demo, target = given.demo.resolve(), given.target / "tutorial"
    target.mkdir(parents=True, exist_ok=True)
    stack = Stack.open(demo / "cement.ome.zarr")
    save(annotated_slice(stack), target / "slice.jpg")
    save(segmented_slice(stack), target / "labels.jpg")
    save(Image.open(demo / "unet" / "eval" / "test" / "cement" / "slice_0021.png"), target / "scores.jpg")
    save(napari_window(demo), target / "napari.jpg")
    save(napari_window(demo, "--propose"), given.target / "napari.jpg")
    save(report_page(demo / "report.html"), target / "report.jpg")


def save(picture: Image.Image, path: Path) -> None:
    """Save a picture, at most `WIDTH` columns wide."""
    picture.thumbnail((WIDTH, 10 * WIDTH))
    picture.convert("RGB").save(path, quality=QUALITY, optimize=True)


def annotated_slice(stack: Stack) -> Image.Image:
    """Draw both detectors and the annotation of a slice."""
    detectors = {name: stack.read_slab(PAINTED, [name], 1)[0] for name in stack.detectors}
    labels = colour_labels(stack.read_annotation(PAINTED), stack.phases)
    return panels(stack, {**detectors, "annotation": labels})


def segmented_slice(stack: Stack) -> Image.Image:
    """Draw a detector, the labels and the confidence of a slice without annotation."""
    detector = stack.detectors[-1]
    return panels(
        stack,
        {
            detector: stack.read_slab(SEGMENTED, [detector], 1)[0],
            "labels": colour_labels(stack.read_labels("unet", SEGMENTED), stack.phases),
            "confidence": stack.read_map("unet", "confidence", SEGMENTED),
        },
    )


def panels(stack: Stack, images: Mapping[str, np.ndarray]) -> Image.Image:
    """Draw planes side by side, the first one with a scale bar, over the names of the phases."""
    figure = Figure(figsize=(4 * len(images), 4.8), layout="constrained")
    for axes, (title, plane) in zip(figure.subplots(1, len(images)), images.items(), strict=True):
        axes.imshow(plane, cmap="gray")
        axes.set_title(title)
        axes.axis("off")
    add_scale_bar(figure.axes[0], stack)
    names = [phase.name for phase in stack.phases]
    handles = [Rectangle((0, 0), 1, 1, color=phase.colour) for phase in stack.phases]
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return picture_of(figure)


def add_scale_bar(axes: Axes, stack: Stack) -> None:
    """Draw a scale bar into the lower left corner of a slice."""
    rows, _ = stack.shape[1:]
    length = 1000 * BAR_UM / stack.voxel_nm[2]
    axes.add_patch(Rectangle((15, rows - 25), length, 8, color="white"))
    axes.text(15 + length / 2, rows - 32, f"{BAR_UM} µm", color="white", ha="center", va="bottom")


def picture_of(figure: Figure) -> Image.Image:
    """Return a figure as pixels."""
    return Image.open(BytesIO(as_png(figure)))


def napari_window(demo: Path, *options: str) -> Image.Image:
    """Take a screenshot of the plugin on a virtual screen, with the stack as it is before a model is trained."""
    script = Path(__file__).parent / "documentation" / "napari_window.py"
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "window.png"
        store = Path(shutil.copytree(demo / "cement.ome.zarr", Path(folder) / "cement.ome.zarr"))
        for name in Stack.open(store).label_names():
            remove_labels(store, name)
        screen = ["xvfb-run", "--auto-servernum", "--server-args", "-screen 0 1280x800x24"]
        words = [str(script), str(store), str(demo / "sample" / "truth"), str(picture), *options]
        subprocess.run([*screen, sys.executable, *words], check=True)
        return Image.open(BytesIO(picture.read_bytes()))


def report_page(path: Path) -> Image.Image:
    """Take a screenshot of the top of the report."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser())
        page = browser.new_page(viewport={"width": 1200, "height": 1000})
        page.goto(path.as_uri())
        page.wait_for_timeout(2000)  # until the slices are drawn
        picture = page.screenshot()
        browser.close()
    return Image.open(BytesIO(picture))


if __name__ == "__main__":
    main()
