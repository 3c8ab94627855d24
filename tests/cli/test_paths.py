"""Every command says of a path that does not exist that it does not."""

import re
from pathlib import Path

import pytest

from monai_app.errors import REFUSED
from monai_app.stack import Stack
from tests.bad_input.running import run_line

LINES = (
    *("annotations nowhere", "annotate nowhere --from a.tif", "annotate STACK --from nowhere", "check nowhere"),
    *("evaluate nowhere RUN", "evaluate STACK nowhere", "export nowhere", "init nowhere", "inspect nowhere"),
    *("labels nowhere", "package STACK nowhere a.zip", "package nowhere RUN a.zip", "propose nowhere -o a.tif --z 3"),
    *("quantify nowhere --labels a -o q", "report nowhere -o a.html", "segment nowhere RUN", "segment STACK nowhere"),
    *("segment nowhere -i IMAGES -o labels", "segment RUN -i nowhere -o labels", "study nowhere study"),
    *("train nowhere run", "ingest nowhere.yaml a.ome.zarr", "study STACK study --design nowhere.yaml"),
    "settings nowhere",
    *("train STACK run --from nowhere", "trust nowhere", "unpack nowhere.zip a", "verify nowhere", "view nowhere"),
    "segment STACK RUN --labels a --mask nowhere.tif",
)


@pytest.mark.parametrize("line", LINES)
def test_nothing_is_there(line: str, tiny_stack: Stack, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "IMAGES").mkdir()
    places = {"STACK": str(tiny_stack.path), "RUN": str(trained)}
    ending = run_line([places.get(word, word) for word in line.split()], tmp_path)
    assert ending.code == REFUSED
    assert re.search("nowhere.* does not exist.*; (give|correct) ", ending.message), ending.errors
