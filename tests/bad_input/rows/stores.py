"""Stores that somebody edited, moved or cut."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bad_input.row import Make, Row, edit_json, in_turn, refused
from tests.bad_input.rows.segment import LINE, cut
from tests.bad_input.rows.train import LINE as TRAIN


def store(change: Callable[[Path], object], name: str = "zarr.json") -> Make:
    """Make a store in which something was done to a file."""
    return lambda place: change(place.copy("STACK") / name)


def own(change: Callable[[dict[str, object]], object]) -> Make:
    """Make a store whose own metadata say something else."""

    def inside(content: dict[str, Any]) -> None:
        change(content["attributes"]["monai_app"])

    return lambda place: edit_json(place.copy("STACK") / "zarr.json", inside)


def text(content: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(content)


def bad(did: str, make: Make, *says: str, line: str = LINE) -> Row:
    return refused(did, line, *(says or ("tiny.ome.zarr",)), make=make)


ROWS = [
    bad("a store without `zarr.json`", store(Path.unlink), "zarr.json"),
    bad("a store whose `zarr.json` is empty", store(text(""))),
    bad("a store whose `zarr.json` ends too early", store(cut)),
    bad("a store whose `zarr.json` is a list", store(text("[]"))),
    bad("a store whose `zarr.json` is a folder", store(in_turn(Path.unlink, Path.mkdir)), "zarr.json"),
    bad("another program's store", store(text(json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}})))),
    bad("a store of a format that is newer", own(lambda content: content.update(format=99)), "99"),
    bad("a store of a format that is a text", own(lambda content: content.update(format="new")), "'new'"),
    bad("a store without the pixels", store(shutil.rmtree, "0")),
    bad("a store whose pixels have no metadata", store(Path.unlink, "0/zarr.json")),
    bad("a store whose pixels' metadata are cut", store(cut, "0/zarr.json")),
    bad("a store without `detectors`", own(lambda content: content.pop("detectors"))),
    bad("a store whose `detectors` are a number", own(lambda content: content.update(detectors=5))),
    bad("a store without `phases`", own(lambda content: content.pop("phases"))),
    bad("a store whose `phases` are numbers", own(lambda content: content.update(phases=[1, 2]))),
    bad("a store whose `voxel_nm` is a number", own(lambda content: content.update(voxel_nm=5))),
    bad("a folder in the store, in place of the store", lambda place: None, "labels", line="segment STACK/labels RUN"),
    bad(
        "a training on a store whose annotations have no metadata",
        store(Path.unlink, "labels/annotation/zarr.json"),
        line=TRAIN,
    ),
    bad(
        "a training on a store whose annotations' metadata are cut",
        store(cut, "labels/annotation/zarr.json"),
        line=TRAIN,
    ),
]
