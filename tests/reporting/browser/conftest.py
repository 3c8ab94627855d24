"""Tiny stacks to look at, and one browser for all pages of a module."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from playwright.sync_api import Browser

from monai_app.domain.region import Rect
from monai_app.stack import Phase, Stack, ingest
from monai_app.stack.label_images.arrays import Map
from tests import browsing
from tests.conftest import write_tiny_sample

PHASES = (
    Phase(value=1, name="pore", rgb=(32, 48, 79)),
    Phase(value=2, name="</script><img src=x onerror=alert(1)>", rgb=(143, 179, 217)),
    Phase(value=3, name="clinker & 'more', " + 9 * "verylong", rgb=(213, 94, 0)),
)

UNSEGMENTED = 7
"""The slice of the segmented stack that the labels lack."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsing.browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def segmented(tiny_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A stack with labels ``found``, one slice left out, and their confidence."""
    path = tmp_path_factory.mktemp("segmented") / "tiny.ome.zarr"
    shutil.copytree(tiny_stack.path, path)
    stack = Stack.open(path)
    confidence = Map("confidence", per_phase=False)
    with stack.write_result("found", fingerprint={}, maps=[confidence], phases=PHASES) as result:
        for z in range(UNSEGMENTED):
            labels = np.digitize(stack.read_slab(z, ["ICE"], 1)[0], [60, 110]).astype(np.uint8) + 1
            labels[:4] = 0  # as outside a mask
            sure = np.full(labels.shape, 255, np.uint8)
            sure[:, 40:] = 0
            sure[labels == 0] = 0  # as it is stored
            result.arrays.write(z, Rect.whole(stack.shape), {"labels": labels, "confidence": sure})
        result.finish(range(UNSEGMENTED))
    return Stack.open(path)


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A stack of one slice in 16 bit, whose pixels are twice as high as wide, without labels."""
    folder = tmp_path_factory.mktemp("deep")
    description = write_tiny_sample(folder / "sample", slices=7)
    for path in sorted((folder / "sample").glob("*/slice_*.tif")):
        if path.name != "slice_6.tif":
            path.unlink()
        elif path.parent.name != "annotations":
            tifffile.imwrite(path, 300 * np.asarray(tifffile.imread(path)).astype(np.uint16))
    text = description.read_text().replace("y: 10", "y: 20").replace("train: [1, 3, 5]\n  test: [6]", "train: [0]")
    description.write_text(text.replace("name: tiny", "name: deep"))
    return ingest(Path(description), folder / "deep.ome.zarr")
