"""A call that was stopped between the labels and their TIFFs goes on; another call is refused as ever."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from monai_app.errors import TargetExistsError
from monai_app.inference import Model, Outputs, Request, Segmentation, export_tiff
from monai_app.stack import Stack
from tests.inference.models import model_of


@pytest.fixture
def stack(tiny_stack: Stack, tmp_path: Path) -> Stack:
    return Stack.open(Path(shutil.copytree(tiny_stack.path, tmp_path / "own.ome.zarr")))


def segment(stack: Stack, model: Model, **options: Any) -> None:
    Segmentation(model, str(stack.path), "net", **{"region": {"slices": "2:4"}, "keep": True, **options}).run()


def written(stack: Stack) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (stack.path / "labels" / "net").rglob("*")}


def test_finished_labels_are_kept_by_the_same_call(stack: Stack, tmp_path: Path) -> None:
    model = model_of(tmp_path / "run", "unet")
    segment(stack, model, request=Request(tile=(32, 32)))
    before, lock = written(stack), stack.path / "labels" / ".net.lock"
    lock.touch()  # the call was killed when it had not removed this
    segment(stack, model)  # the tile was the planner's to choose, and may be another one today
    assert written(stack) == before
    assert not lock.exists()
    export_tiff(str(stack.path), "net", str(tmp_path / "tiffs"))
    assert sorted(path.name for path in (tmp_path / "tiffs").glob("*.tif")) == ["slice_2.tif", "slice_3.tif"]


def test_labels_that_another_call_made_are_refused(stack: Stack, tmp_path: Path) -> None:
    model = model_of(tmp_path / "run", "unet")
    segment(stack, model)
    others: list[dict[str, Any]] = [
        *(
            {"region": {"slices": "2:5"}},
            {"outputs": Outputs(confidence="max")},
            {"outputs": Outputs(probability=True)},
        ),
        *({"request": Request(tile=(16, 16))}, {"keep": False}),
    ]
    for other in others:
        with pytest.raises(TargetExistsError, match="already in"):
            segment(stack, model, **other)
    (stack.path / "labels" / "net" / "binding.json").write_text(json.dumps([]))
    with pytest.raises(TargetExistsError, match="already in"):
        segment(stack, model)
