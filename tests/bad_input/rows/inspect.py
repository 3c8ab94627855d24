"""What is looked at before it is labelled or trained on."""

import shutil

import numpy as np
import tifffile

from tests.bad_input.row import Place, Row, edit_text, refused


def own_folder(place: Place) -> None:
    (place.folder / "empty").mkdir()


def folders(place: Place) -> None:
    """Images of two detectors, of one of which a slice is missing."""
    for name, count in (("ICE", 4), ("TLD", 3)):
        (place.folder / "images" / name).mkdir(parents=True)
        for z in range(count):
            pixels = np.full((9, 9), z, np.uint8)
            tifffile.imwrite(place.folder / "images" / name / f"slice_{z}.tif", pixels)


def control_characters(place: Place) -> None:
    folders(place)
    shutil.rmtree(place.folder / "images" / "TLD")
    (place.folder / "images" / "ICE").rename(place.folder / "images" / "ICE\x1b[31m")


def existing(place: Place) -> None:
    for name in ("found.html", "found.json"):
        (place.folder / name).write_text("{}")


def made_folder(place: Place) -> None:
    (place.folder / "found.png").mkdir()


def without_chunk(place: Place) -> None:
    next(path for path in sorted((place.copy("STACK") / "0" / "c").rglob("*")) if path.is_file()).unlink()


def wrong_description(place: Place) -> None:
    edit_text(place.copy("SAMPLE") / "sample.yaml", "test: [6]", "test: [9]")


def bad(did: str, line: str, *says: str, **make: object) -> Row:
    return refused(did, f"inspect {line}", *says, **make)  # type: ignore[arg-type]


ROWS = [
    bad("nothing there", "nowhere", "nowhere", "does not exist"),
    bad("a folder without images", "empty", "empty", "no images", make=own_folder),
    bad("a run folder in place of a stack", "RUN", "run", "no images"),
    bad("a file that is not an image", "ZIP", "model.zip", "format"),
    bad("folders of detectors with different slices", "images", "detectors ICE and TLD", make=folders),
    bad("a folder whose name contains control characters", "images", "control characters", make=control_characters),
    bad("a store of which a chunk is missing", "STACK", "tiny.ome.zarr", make=without_chunk),
    bad("a description with a mistake", "SAMPLE/sample.yaml", "slice 9", make=wrong_description),
    bad("a description that does not exist", "SAMPLE/other.yaml", "other.yaml"),
    bad("`--json found.txt`", "STACK --json found.txt", "unexpected extra argument", "found.txt"),
    bad("a picture that is not a PNG", "STACK --picture found.jpg", "found.jpg", ".png"),
    bad("a picture in the place of a folder", "STACK --picture found.png", "found.png", "folder", make=made_folder),
    bad("a page that is not HTML", "STACK --page found.pdf", "found.pdf", ".html"),
    bad("a file that exists", "STACK --page found.html", "found.html", "--overwrite", make=existing),
    bad(
        "a file that exists, with `--json FILE`", "STACK --json found.json", "found.json", "--overwrite", make=existing
    ),
    bad("a page inside the store", "STACK --page STACK/found.html", "found.html", "lies in the store"),
]
