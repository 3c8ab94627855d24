"""Proposed labels: slices, what is painted, and the file for them."""

import numpy as np

from monai_app.stack import Stack, annotate
from tests.bad_input.row import Place, Row, refused, taken
from tests.bad_input.rows.descriptions import file_at, folder_at
from tests.bad_input.rows.saving import saved

LINE = "propose STACK --z 2 -o new.tif"


def one_phase(place: Place) -> None:
    """Leave one phase in the training slices."""
    stack = Stack.open(place.copy("STACK"))
    annotate(stack, {z: np.where(stack.read_annotation(z) == 1, 1, 0).astype(np.uint8) for z in stack.train_slices})


def nothing(place: Place) -> None:
    """Remove the annotations of the training slices."""
    stack = Stack.open(place.copy("STACK"))
    annotate(stack, dict.fromkeys(stack.train_slices))


def sliced(text: str, *says: str) -> Row:
    return refused(f"`{text}`", f"propose STACK {text} -o new.tif", *says)


def named(name: str, *says: str) -> Row:
    return refused(f"`-o {name}`", f"propose STACK --z 2 -o {name}", *says)


ROWS = [
    refused("no slice named", "propose STACK -o new.tif", "--z"),
    refused("no file named", "propose STACK --z 2", "--output"),
    refused("a stack that does not exist", "propose nowhere.ome.zarr --z 2 -o new.tif", "nowhere.ome.zarr"),
    refused("a run folder instead of a stack", "propose RUN --z 2 -o new.tif", "run"),
    sliced("--z 8", "--z 8"),
    sliced("--z=-1", "-1"),
    sliced("--z 2,5", "2,5"),
    sliced("--z slice_2", "slice_2"),
    sliced("--z 6", "slice 6", "test slice"),
    sliced("--z 4:8", "slice 6", "test slice"),
    named("new", "ends in none of"),
    named("new.png", "ends in none of"),
    named("STACK/new.tif", "lies in the store"),
    refused("a file that exists", LINE, "--overwrite", make=file_at("new.tif")),
    refused("a file that is a folder", f"{LINE} --overwrite", "new.tif", make=folder_at("new.tif")),
    refused("a stack without annotations", LINE, "nothing is painted", make=nothing),
    refused("a single phase painted", LINE, "only pore is painted", "hydrate", make=one_phase),
    taken("a training slice", "propose STACK --z 3 -o new.tif", saved("new.tif")),
]
