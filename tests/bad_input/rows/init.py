"""Folders that `init` looks at, descriptions with open questions, and series of slices."""

import shutil
from pathlib import Path

import numpy as np
import tifffile

from monai_app.stack import Stack
from tests.bad_input.row import Make, Place, Row, edit_text, refused, taken
from tests.bad_input.rows.descriptions import DETECTORS, LINE, TRAIN, bad, edited, file_at, folder_at, whole

INIT = "init SAMPLE -o new.yaml"


def asks(*parts: str, name: str = "new.yaml") -> Make:
    """Check what a description that was written asks and holds."""

    def check(place: Place) -> None:
        text = (place.folder / name).read_text()
        assert all(part in text for part in parts), text

    return check


def undescribed(place: Place) -> Path:
    """A sample without its description and annotations."""
    sample = place.copy("SAMPLE")
    (sample / "sample.yaml").unlink()
    shutil.rmtree(sample / "annotations")
    return sample


def other_shape(place: Place) -> None:
    for path in (place.copy("SAMPLE") / "TLD").iterdir():
        tifffile.imwrite(path, np.arange(64, dtype=np.uint8).reshape(8, 8))


def colour(place: Place) -> None:
    tifffile.imwrite(place.copy("SAMPLE") / "view.tif", np.zeros((8, 8, 3), np.uint8), photometric="rgb")


def faulty(place: Place) -> None:
    """Several mistakes at once, in the description and in the images."""
    sample = place.copy("SAMPLE")
    edit_text(sample / "sample.yaml", "name: tiny", "nmae: tiny")
    edit_text(sample / "sample.yaml", "train: [1, 3, 5]", "train: 1")
    (sample / "ICE" / "slice_2.tif").write_bytes(b"my slice")
    (sample / "TLD" / "slice_4.tif").write_bytes(b"II*\0")


def parted(*gaps: int) -> Make:
    """Check before which slices of a stack slabs end."""

    def check(place: Place) -> None:
        assert Stack.open(place.folder / "new.ome.zarr").gaps == gaps

    return check


ROWS: list[Row] = [
    refused("no path", "init -o new.yaml", "PATH"),
    refused("a path that does not exist", "init nowhere -o new.yaml", "nowhere does not exist"),
    refused("a folder without images", "init notes -o new.yaml", "no image file", make=folder_at("notes")),
    refused("a description in place of images", "init SAMPLE/sample.yaml -o new.yaml", "sample.yaml", "no image file"),
    refused("a stack", "init STACK -o new.yaml", "tiny.ome.zarr", "no image file"),
    taken("labels without images", "init SAMPLE/annotations -o new.yaml", asks("has few values, like labels")),
    refused("a description that exists", "init SAMPLE -o SAMPLE/sample.yaml", "exists; choose", "--overwrite"),
    refused("a description that is not YAML", "init SAMPLE -o new.txt", "new.txt", ".yaml"),
    refused("a description that is a folder", INIT, "new.yaml is a folder", make=folder_at("new.yaml")),
    refused("a description inside a store", "init SAMPLE -o STACK/new.yaml", "tiny.ome.zarr"),
    refused("a description below a file", "init SAMPLE -o file/new.yaml", "file", make=file_at("file")),
    taken(
        "a folder",
        INIT,
        asks("# ? No file contains the voxel size in nm", "# ? What are the names of the phases?", "ICE: "),
    ),
    taken("detectors of different shapes", INIT, asks("# ? detectors ICE and TLD differ: 96 x 80"), other_shape),
    taken("a colour picture beside the detectors", INIT, asks("# not used: ", "in colour"), colour),
    taken("the folder of one detector", "init SAMPLE/TLD -o new.yaml", asks("# ? What is the name of this detector?")),
    refused(
        "a description with open questions",
        LINE,
        "line 2: What is it called?",
        "remove the line",
        make=edited("name: tiny", "# ? What is it called?\nname: tiny"),
    ),
    refused(
        "a folder that leaves questions open",
        "ingest SAMPLE new.ome.zarr",
        "monai-app init",
        "No file contains the voxel size in nm",
        make=undescribed,
    ),
    taken("the sample's folder in place of its description", "ingest SAMPLE new.ome.zarr", whole()),
    refused("several mistakes at once", LINE, "'nmae'", "train: 1", "ICE/slice_2.tif", "TLD/slice_4.tif", make=faulty),
    bad(DETECTORS, f"{DETECTORS}\nindependent: maybe", "independent: 'maybe'"),
    bad(DETECTORS, f"{DETECTORS}\nbreaks: 3", "breaks: 3"),
    bad(DETECTORS, f"{DETECTORS}\nbreaks: [0]", "breaks::0: 0"),
    bad(DETECTORS, f"{DETECTORS}\nbreaks: [3, 8]", "breaks: slice 8 does not exist"),
    bad(DETECTORS, f"{DETECTORS}\nbreaks: [3, 3]", "3 occurs twice"),
    bad(DETECTORS, f"{DETECTORS}\nindependent: true\nbreaks: [3]", "already separates all slices"),
    bad(TRAIN, "train: [1, 3, 5]\n  unused: maybe", "unused: 'maybe'"),
    bad(TRAIN, 'train: ["8:"]', "'8:' holds no slice"),
    bad(TRAIN, 'train: ["1:6:0"]', "'1:6:0' holds no slice"),
    bad(TRAIN, 'train: ["0:4"]', "slice 0 is listed"),
    bad(TRAIN, 'train: ["1:6:2", 3]', "slice 3 (3) is listed twice"),
    bad(TRAIN, "train: 1:6:2", "train: '1:6:2'", "brackets"),
    taken("`train: [1:6:2]`", LINE, whole(), make=edited(TRAIN, "train: [1:6:2]")),
    taken("`breaks: [4]`", LINE, parted(4), make=edited(DETECTORS, f"{DETECTORS}\nbreaks: [4]")),
    taken(
        "`independent: true`",
        LINE,
        parted(1, 2, 3, 4, 5, 6, 7),
        make=edited(DETECTORS, f"{DETECTORS}\nindependent: true"),
    ),
]
