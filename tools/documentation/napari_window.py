"""Take a screenshot of the napari plugin while a slice is being painted; needs a screen, such as Xvfb's.

xvfb-run python tools/documentation/napari_window.py demo/cement.ome.zarr demo/sample/truth napari.png
"""

import argparse
import time
from itertools import groupby
from pathlib import Path

import napari
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image
from qtpy.QtWidgets import QApplication

from monai_app.napari.dock import LabelStack

SLICE, BRUSH, MARGIN = 8, 9, 12
"""The painted slice; width of a stroke and its distance from the border of the phase, in pixels."""


def longest_run(mask: npt.NDArray[np.bool_]) -> tuple[int, int, int]:
    """Return row, first column and length of the longest row of pixels in a mask."""
    best = (0, 0, 0)
    for row, line in enumerate(mask):
        column = 0
        for inside, run in groupby(line):
            length = len(list(run))
            best = max(best, (row, column, length), key=lambda each: each[2]) if inside else best
            column += length
    return best


def wait_for(dock: LabelStack) -> None:
    """Wait until a stack is open and nothing is running."""
    while dock.panel.canvas is None or dock.panel.runner.busy is not None:
        QApplication.processEvents()


def main() -> None:
    """Open the stack in the plugin, paint a stroke in every phase, and save the screenshot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stack", type=Path, help="store, which is not changed")
    parser.add_argument(
        "truth", type=Path, help="folder of the simulator's true labels, which determine where to paint"
    )
    parser.add_argument("picture", type=Path)
    parser.add_argument("--propose", action="store_true", help="also propose labels of the slice")
    given = parser.parse_args()
    viewer = napari.Viewer()
    viewer.window.resize(1280, 800)
    dock = LabelStack(viewer)
    viewer.window.add_dock_widget(dock, name="Label a stack")
    dock.panel.open(given.stack)
    wait_for(dock)
    dock.panel.canvas.go_to(SLICE)
    truth = np.asarray(tifffile.imread(given.truth / f"slice_{SLICE:04d}.tif"))
    layer = viewer.layers["annotation"]
    layer.brush_size = BRUSH
    for value in np.unique(truth):
        dock.panel.phases.choose(int(value))
        dock.panel.canvas.paint_with(int(value))  # as a click on the phase does
        row, first, length = longest_run(truth == value)
        for column in range(first + min(MARGIN, length // 3), first + length - min(MARGIN, length // 3), 3):
            layer.paint((SLICE, row, column), int(value))
    if given.propose:
        dock.panel.propose()
        wait_for(dock)
    end = time.monotonic() + 3  # until all of it is drawn
    while time.monotonic() < end:
        QApplication.processEvents()
    Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)[..., :3]).save(given.picture)


if __name__ == "__main__":
    main()
