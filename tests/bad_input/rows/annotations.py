"""Label images that become annotations, annotations that are listed and changed, and label images: in and out."""

import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from monai_app import files
from monai_app.stack import Stack
from tests.bad_input.row import Make, Place, Row, in_turn, nothing, refused, taken
from tests.bad_input.rows.descriptions import file_at, folder_at
from tests.bad_input.rows.train import without_annotations

LABELS = "SAMPLE/annotations/slice_3.tif"
NEW = "annotate STACK --from new.tif --slice 2"
PICTURE = "annotate STACK --from new.png --slice 2"


def new(change: Any = lambda pixels: pixels, name: str = "new.tif", **options: Any) -> Make:
    """Make a label image of a slice's labels."""

    def make(place: Place) -> None:
        pixels = tifffile.imread(place.goods / "sample/annotations/slice_3.tif")
        tifffile.imwrite(place.folder / name, change(pixels), **options)

    return make


def painted(*colours: Sequence[int], soft: bool = False) -> Make:
    """Make a picture in which unlabelled and the phases have these colours."""

    def make(place: Place) -> None:
        pixels = tifffile.imread(place.goods / "sample/annotations/slice_3.tif")
        image = Image.fromarray(np.array(colours, np.uint8)[pixels])
        size = image.size
        image = image.resize((40, 48), Image.Resampling.BILINEAR).resize(size) if soft else image
        image.save(place.folder / "new.png")

    return make


def copied(place: Place) -> None:
    """Let the row have a stack of its own."""
    place.copy("STACK")


def annotated(*zs: int, role: str = "train") -> Make:
    def check(place: Place) -> None:
        roles = Stack.open(place.folder / "tiny.ome.zarr").roles
        assert [z for z in zs if roles.get(z) == role] == list(zs)

    return check


def own(make: Make) -> Make:
    def both(place: Place) -> None:
        copied(place)
        make(place)

    return both


def being_written(place: Place) -> None:
    """Leave a label image that somebody began."""
    labels = place.copy("STACK") / "labels"
    shutil.copytree(labels / "annotation", files.partial_path(labels / "net"))


PHASES = ((0, 0, 0), (0x20, 0x30, 0x4F), (0x8F, 0xB3, 0xD9), (0xD5, 0x5E, 0x00))
OTHERS = ((255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255))

EXPORT = "labels STACK export annotation -o"


def segmented(place: Place) -> None:
    """Have a label image in the row's stack."""
    stack = Stack.open(place.copy("STACK"))
    stack.write_labels("net", np.ones(stack.shape, np.uint8))


def mesh(did: str, text: str, *says: str, make: Make = nothing) -> Row:
    return refused(did, f"labels STACK export net -o {text}", *says, make=in_turn(segmented, make))


ROWS: list[Row] = [
    refused("neither files nor labels", "annotate STACK", "--from PATH"),
    refused(
        "both files and labels",
        f"annotate STACK --from {LABELS} --from-labels unet",
        "give either source (--from PATH) or labels (--from-labels NAME)",
    ),
    refused("files that do not exist", "annotate STACK --from nowhere.tif", "nowhere.tif"),
    refused("a stack that does not exist", f"annotate nowhere.ome.zarr --from {LABELS}", "nowhere.ome.zarr"),
    refused("a JPEG", "annotate STACK --from new.jpg", "new.jpg", make=file_at("new.jpg")),
    refused("an empty folder", "annotate STACK --from new", "no image file", make=folder_at("new")),
    refused("a role that there is not", f"annotate STACK --from {LABELS} --role both", "both"),
    refused("a slice that does not exist", "annotate STACK --from new.tif --slice 8", "slice 8", make=new()),
    refused("a slice's name that there is not", "annotate STACK --from new.tif --slice z2", "'z2'", make=new()),
    refused("a file whose name says no slice", "annotate STACK --from new.tif", "--slice N", make=new()),
    refused("two slices for one plane", f"{NEW} --slice 4", "--slice is given 2 times", make=new()),
    refused("a slice for a folder", "annotate STACK --from SAMPLE/annotations --slice 2", "--slice applies to a file"),
    refused("labels of another size", NEW, "95 x 80", make=new(lambda pixels: pixels[1:])),
    refused("labels that label nothing", NEW, "no labelled pixel", make=new(np.zeros_like)),
    refused("a value that is not a phase", NEW, "value 7", make=new(lambda pixels: np.where(pixels == 3, 7, pixels))),
    refused("a value that `--mapping` leaves out", f"{NEW} --mapping 1=pore,2=hydrate", "value 3", make=new()),
    refused("a phase that there is not", f"{NEW} --mapping 1=air", "'air' is not a phase", make=new()),
    refused("a mapping in another form", f"{NEW} --mapping pore:1", "pore:1", make=new()),
    refused("colours of values", f"{NEW} --colour 'pore=#ff0000'", "--mapping", make=new()),
    refused("a colour in another form", f"{NEW} --colour pore=red", "pore=red", make=new()),
    refused("values of colours", f"{PICTURE} --mapping 1=pore", "--colour", make=painted(*PHASES)),
    refused("colours that are not phases'", PICTURE, "#ff0000", "--colour", make=painted(*OTHERS)),
    refused(
        "a picture with soft edges",
        f"{PICTURE} --colour 'unlabelled=#000000'",
        "soft",
        make=painted(*PHASES, soft=True),
    ),
    refused(
        "a slice that is annotated already",
        "annotate STACK --from new.tif --slice 1",
        "--overwrite",
        make=new(),
    ),
    refused(
        "labels that contradict the annotation, added",
        "annotate STACK --from new.tif --slice 1 --merge",
        "label",
        "--overwrite",
        make=new(),
    ),
    refused(
        "a test slice, added to as one to train on",
        "annotate STACK --from SAMPLE/annotations/slice_6.tif --merge --role train",
        "has the role test",
        "--overwrite",
        make=copied,
    ),
    refused("labels that the stack does not have", "annotate STACK --from-labels unet --slice 2", "'unet'"),
    refused("a mapping of the stack's own labels", "annotate STACK --from-labels a --mapping 1=pore", "--mapping"),
    taken("16 bits", NEW, annotated(2), own(new(lambda pixels: pixels.astype(np.uint16)))),
    taken("a slice by its name", "annotate STACK --from new.tif --slice slice_2", annotated(2), own(new())),
    taken("a test slice", f"{NEW} --role test", annotated(2, role="test"), own(new())),
    taken("the phases' colours", f"{PICTURE} --colour 'unlabelled=#000000'", annotated(2), own(painted(*PHASES))),
    taken("labels that it has already", "annotate STACK --from SAMPLE/annotations", annotated(1, 3, 5), copied),
    refused("a stack that does not exist", "annotations nowhere.ome.zarr", "nowhere.ome.zarr"),
    refused("`--export` and `--json`", "annotations STACK --export new --json", "give two commands"),
    refused("a slice that is not annotated, moved", "annotations STACK --move 2=test", "slice 2"),
    refused("a slice that is not annotated, removed", "annotations STACK --remove 2", "slice 2"),
    refused("a slice that does not exist", "annotations STACK --remove 8", "slice 8"),
    refused("a move without a role", "annotations STACK --move 5", "--move 5"),
    refused("a move to another role", "annotations STACK --move 5=both", "train or test"),
    refused("a slice moved and removed", "annotations STACK --move 5=test --remove 5", "moved and removed"),
    refused("changes and an export", "annotations STACK --remove 5 --export new", "two commands"),
    refused("an export in a format that there is not", "annotations STACK --export new.png", "new.png"),
    refused("an export to what exists", "annotations STACK --export new", "new", make=folder_at("new")),
    refused("an export into a store", "annotations STACK --export STACK/new", "in the store"),
    refused("an export of nothing", "annotations STACK --export new", "no annotations", make=without_annotations),
    refused("images in a format that there is not", "annotations STACK --export new --format bmp", "bmp"),
    taken("a slice moved to where it is", "annotations STACK --move 5=train", annotated(5), make=copied),
    refused("a stack that does not exist", "labels nowhere.ome.zarr", "nowhere.ome.zarr"),
    refused("an action that there is not", "labels STACK delete unet", "delete"),
    refused("a name to list", "labels STACK list unet", "leave it out"),
    refused("a target to list", "labels STACK list -o new", "apply to export"),
    refused("`--json` to remove", "labels STACK remove unet --json", "applies to list"),
    refused("no name to remove", "labels STACK remove", "no label image is named"),
    refused("labels that there are not", "labels STACK remove unet", "no label image 'unet'"),
    refused("annotations as labels", "labels STACK remove annotation", "slice by slice"),
    refused("a path as labels", "labels STACK remove ../0", "../0"),
    refused("no name to export", "labels STACK export -o new", "no label image is named"),
    refused("no target", "labels STACK export annotation", "-o FILE"),
    refused("labels that there are not, exported", "labels STACK export unet -o new", "no finished label image 'unet'"),
    refused("a format that there is not", f"{EXPORT} new.xyz", "ends in none of"),
    refused("a folder that exists", f"{EXPORT} new", "new", make=folder_at("new")),
    refused("a folder in a store", f"{EXPORT} STACK/new", "in the store"),
    refused("a level of an image", f"{EXPORT} new.tif --level 1", "is not a mesh"),
    refused("an image, smoothed", f"{EXPORT} new --no-smooth", "is not a mesh"),
    refused("annotated slices, none of them in the part", f"{EXPORT} new --z 0", "was annotated, only 1, 3, 5, 6"),
    refused("a mesh of annotations", f"{EXPORT} new.ply", "name a label image"),
    mesh("a mesh of a map", "new.ply --map confidence", "leave --map out"),
    mesh("a mesh of a phase that there is not", "new.ply --phase air", "'air' is unknown"),
    mesh("one `.stl` of several phases", "new.stl", "--phase pore|hydrate|clinker"),
    mesh("a level that there is not", "new.ply --level 1", "the levels are 0 to 0"),
    mesh("a mesh that exists", "new.ply", "--overwrite", make=file_at("new.ply")),
    mesh("a mesh in a store", "STACK/new.ply", "in the store"),
    taken("labels that are not finished", "labels STACK remove net", lambda place: None, make=being_written),
]
