"""Quantities: labels, regions, masks, measures, and the folder for them."""

import numpy as np
import tifffile

from monai_app.stack import Stack
from tests.bad_input.row import Make, Place, Row, in_turn, refused, taken
from tests.bad_input.rows.descriptions import file_at, folder_at

LINE = "quantify STACK --labels found -o out"


def labelled(place: Place) -> None:
    """Put labels of all phases but the last one into the stack, with a border that is not segmented."""
    stack = Stack.open(place.copy("STACK"))
    labels = np.random.default_rng(0).integers(1, 3, stack.shape, np.uint8)
    labels[:, :10] = 0
    stack.write_labels("found", iter(labels))


def wrong(text: str, *says: str) -> Row:
    return refused(f"`{text}`", f"{LINE} {text}", *says, make=labelled)


def measured(*names: str) -> Make:
    def check(place: Place) -> None:
        text = (place.folder / "out" / "phases.csv").read_text(encoding="utf8")
        assert all(name in text for name in names)

    return check


def black_mask(place: Place) -> None:
    tifffile.imwrite(place.folder / "mask.tif", np.zeros((96, 80), np.uint8))


ROWS = [
    refused("no label image named", "quantify STACK -o out", "--labels"),
    refused("no folder named", "quantify STACK --labels found", "--output", make=labelled),
    refused("a stack that does not exist", "quantify nowhere.ome.zarr --labels a -o out", "nowhere.ome.zarr"),
    refused("a run folder instead of a stack", "quantify RUN --labels a -o out", "run"),
    refused("labels that do not exist", "quantify STACK --labels unet -o out", "no finished label image 'unet'"),
    refused("annotations as labels", "quantify STACK --labels annotation -o out", "no finished label image"),
    refused("a folder that exists", f"{LINE} --overwrite", "out", make=in_turn(labelled, folder_at("out"))),
    refused("a file as the folder", LINE, "out is a file", make=in_turn(labelled, file_at("out"))),
    refused("a folder in the store", "quantify STACK --labels found -o STACK/out", "lies in the store", make=labelled),
    wrong("--z 9:12", "--z 9:12"),
    wrong("--z 5:5", "5:5"),
    wrong("--y 0:97", "--y 0:97"),
    wrong("--y :10", "nothing is segmented"),
    wrong("--x first", "first"),
    wrong("--mask nowhere.tif", "nowhere.tif"),
    refused("a mask of zeros", f"{LINE} --mask mask.tif", "0 everywhere", make=in_turn(labelled, black_mask)),
    wrong("--measure thicknes", "measure 'thicknes' is unknown"),
    wrong("--tortuosity pores", "phase 'pores' is unknown"),
    taken("a phase without voxels", LINE, measured("no voxel has this phase"), labelled),
    taken("one slice", f"{LINE} --z 3", measured("at least two adjacent", "one voxel along"), labelled),
]
