"""Stacks in viewers."""

from typing import Any

from monai_app.stack import Stack, snapshot
from tests.bad_input.row import Make, Place, Row, edit_json, refused

LINE = "view STACK"


def wrong(options: str, *says: str) -> Row:
    return refused(f"`{options}`", f"view STACK {options}", *says)


def ngff(what: str, value: Any) -> Make:
    """Make a store whose NGFF metadata of channels say something else."""
    return lambda place: edit_json(
        place.copy("STACK") / "zarr.json", lambda content: content["attributes"]["ome"]["omero"].update({what: value})
    )


def a_snapshot(place: Place) -> None:
    snapshot(Stack.open(place.goods / "tiny.ome.zarr"), place.folder / "copy.ome.zarr")


ROWS = [
    refused("no stack", "view", "STACK"),
    refused("a stack that does not exist", "view nowhere.ome.zarr", "nowhere.ome.zarr"),
    refused("a sample in place of its stack", "view SAMPLE", "ingest"),
    refused("a snapshot of a stack", "view copy.ome.zarr", "snapshot", make=a_snapshot),
    refused("a store that tells of no channels", LINE, "zarr.json", make=ngff("channels", None)),
    refused("a store that tells of fewer channels than it has", LINE, "zarr.json", make=ngff("channels", [])),
    wrong("--labels found", "'found'", "annotation"),
    wrong("--labels ''", "''", "annotation"),
    wrong("--labels ../../sample", "'../../sample'"),
    wrong("--labels annotation --labels found", "'found'"),
    wrong("--port 65536", "--port", "65535"),
    wrong("--port web", "--port", "integer"),
    wrong("--napari --port 8000", "--port"),
    wrong("--napari --no-browser", "--no-browser"),
    wrong("--host 0.0.0.0", "--host"),
]
