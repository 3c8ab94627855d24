"""Saving labels, annotations and maps as files, and models of bioimage.io."""

from tests.bad_input.row import Make, Place, Row, refused, taken
from tests.bad_input.rows.descriptions import file_at, folder_at
from tests.bad_input.rows.train import without_annotations

SAVE = "save STACK new.nii.gz --labels annotation"
PACKAGE = "package STACK RUN new.zip --unscored"
CREDITS = "--author A --license MIT"


def wrong(text: str, *says: str) -> Row:
    return refused(f"`{text}`", f"{SAVE} {text}", *says)


def named(name: str, *says: str) -> Row:
    return refused(f"a target `{name}`", f"save STACK '{name}' --labels annotation", *says)


def model(text: str, *says: str) -> Row:
    return refused(f"`{text}`", f"{PACKAGE} {text}", *says)


def saved(name: str) -> Make:
    def check(place: Place) -> None:
        assert (place.folder / name).stat().st_size > 300

    return check


ROWS = [
    refused("no label image named", "save STACK new.nii.gz", "--labels"),
    refused("no target", "save STACK --labels annotation", "TARGET"),
    refused("a stack that does not exist", "save nowhere.ome.zarr new.nii --labels annotation", "nowhere.ome.zarr"),
    refused("a run folder instead of a stack", "save RUN new.nii --labels annotation", "run"),
    refused("labels that do not exist", "save STACK new.nii --labels unet", "no finished label image 'unet'"),
    refused("a path as labels", "save STACK new.nii --labels ../labels/annotation", "../labels/annotation"),
    refused("empty labels", "save STACK new.nii --labels ''", "no finished label image ''"),
    named("new.png", "ends in none of"),
    named("new.mhd", "ends in none of"),
    named("new.ome.zarr", "already stored as OME-Zarr"),
    named(".nrrd", "ends in none of"),
    refused("a target that exists", SAVE, "--overwrite", make=file_at("new.nii.gz")),
    refused("a target that is a folder", f"{SAVE} --overwrite", "new.nii.gz", make=folder_at("new.nii.gz")),
    refused("a target in a store", "save STACK STACK/new.nii --labels annotation", "tiny.ome.zarr"),
    refused("a target below a file", "save STACK file/new.nii --labels annotation", "file", make=file_at("file")),
    refused("annotations of a stack without any", SAVE, "no annotations", make=without_annotations),
    wrong("--map confidence", "annotations have no map 'confidence'"),
    wrong("--map ''", "annotations have no map ''"),
    wrong("--phase pore", "no map is requested"),
    wrong("--z 9:12", "--z 9:12"),
    wrong("--z 5:5", "5:5"),
    wrong("--z=-1", "-1"),
    wrong("--y 0:97", "--y 0:97"),
    wrong("--x first", "first"),
    taken("a target with spaces and umlauts", "save STACK 'für alle.mha' --labels annotation", saved("für alle.mha")),
    taken("a target without a suffix", "save STACK new --labels annotation", saved("new/slice_3.tif")),
    taken("a suffix in capitals", "save STACK NEW.NRRD --labels annotation", saved("NEW.NRRD")),
    taken("a single voxel", "save STACK new.mrc --labels annotation --z 1 --y 9 --x 9", saved("new.mrc")),
    model("--bioimageio", "--author"),
    model("--bioimageio --author A", "--license"),
    model("--bioimageio --author '' --license MIT", "--author"),
    model(f"--bioimageio {CREDITS} --cite 'a book'", "a book"),
    model("--bioimageio --author A --license 'my own'", "my own"),
    model("--bioimageio --author A/B --license MIT", "A/B"),
    model("--author A", "--bioimageio"),
    model("--license MIT", "--bioimageio"),
    refused(
        "a bioimage.io model with a name without `.zip`",
        f"package STACK RUN new.tar --unscored --bioimageio {CREDITS}",
        "new.tar",
    ),
]
