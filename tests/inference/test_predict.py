"""Labels in memory are those that a segmentation writes."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from monai_app.bundle.model import load_model
from monai_app.device.precision import Precision
from monai_app.domain.region import Rect, Span
from monai_app.errors import ConfigError, StackError
from monai_app.inference import Model, Outputs, Predictor, Request, Segmentation
from monai_app.stack import ArrayStack, SlabSource, Stack
from tests.inference.models import model_of

OUTPUTS = Outputs("entropy", probability=True)
RECT = Rect(Span(13, 77), Span(5, 66))


@pytest.fixture(scope="module", params=["trained", "trained_sensor3d"])
def segmented(
    request: pytest.FixtureRequest, tiny_stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Predictor, Stack]:
    """A predictor, and a stack that its model has segmented into the label image ``whole``."""
    folder, run = tmp_path_factory.mktemp("predict"), request.getfixturevalue(request.param)
    shutil.copytree(tiny_stack.path, folder / "own.ome.zarr")
    Segmentation(load_model(run), str(folder / "own.ome.zarr"), "whole", outputs=OUTPUTS).run()
    return Predictor(load_model(run)), Stack.open(folder / "own.ome.zarr")


def in_memory(stack: Stack) -> ArrayStack:
    slices, names = range(stack.shape[0]), stack.detectors
    return ArrayStack(names, np.stack([stack.read_slab(z, names, 1) for z in slices], axis=1))


@pytest.mark.parametrize(("slices", "rect"), [([0], None), ([6, 0, 3, 3], RECT), (range(5, 8), None)], ids=str)
def test_labels_and_maps_are_those_of_the_segmentation(
    segmented: tuple[Predictor, Stack], slices: list[int] | range, rect: Rect | None
) -> None:
    predictor, stack = segmented
    source = stack if rect is None else in_memory(stack)
    found = dict(predictor.predict(source, slices, rect, OUTPUTS))
    assert list(found) == sorted(set(slices))
    for z, planes in found.items():
        assert planes.keys() == {"labels", "confidence", "probability"}
        np.testing.assert_array_equal(planes["labels"], stack.read_labels("whole", z, rect))
        for name in ("confidence", "probability"):
            np.testing.assert_array_equal(planes[name], stack.read_map("whole", name, z, rect))
    assert np.unique(stack.read_labels("whole", 4)).size > 1


def test_small_tiles_are_put_together_and_progress_counts_their_pixels(segmented: tuple[Predictor, Stack]) -> None:
    predictor, stack = segmented
    calls: list[tuple[int, int]] = []
    request = Request(tile=(32, 48))
    found = dict(predictor.predict(stack, [2, 3], request=request, progress=lambda *call: calls.append(call)))
    for z, planes in found.items():
        assert planes.keys() == {"labels"}
        np.testing.assert_array_equal(planes["labels"], stack.read_labels("whole", z))
    assert calls[0][0] == 0
    assert calls[-1][0] == calls[-1][1] > 2 * 96 * 80
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_slices_come_as_they_are_ready_and_nobody_is_left_working(segmented: tuple[Predictor, Stack]) -> None:
    predictor, stack = segmented
    calls: list[int] = []
    slices = predictor.predict(stack, [0, 3, 7], progress=lambda done, total: calls.append(3 * done // total))
    assert calls == []
    assert next(slices)[0] == 0
    assert calls[-1] == 1
    slices.close()
    assert calls[-1] == 1


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return model_of(tmp_path / "run")


def test_full_memory_of_the_device_is_a_message(
    model: Model, tiny_stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(model)

    def full(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB")

    monkeypatch.setattr(predictor.network, "logits", full)
    with pytest.raises(ConfigError, match=r"memory of cpu is full .*20 GiB\); give a smaller tile \(--tile"):
        next(predictor.predict(tiny_stack, [0]))


def test_what_does_not_fit_is_refused_before_anything_is_computed(model: Model, tiny_stack: Stack) -> None:
    predictor = Predictor(model)
    few = ArrayStack(["ICE"], np.zeros((1, 3, 32, 32), np.uint8))
    deep = ArrayStack(["ICE", "TLD"], np.zeros((2, 3, 32, 32), np.uint16))
    refused: list[tuple[SlabSource, list[int], dict[str, Any], type[Exception], str]] = [
        (few, [0], {}, ConfigError, "'TLD' of the model does not exist in arrays in memory, which has ICE"),
        (deep, [0], {}, StackError, "pixels of arrays in memory are uint16, but the model was trained on uint8"),
        (tiny_stack, [0, 8], {}, StackError, "slice 8 does not exist; tiny.ome.zarr has slices 0 to 7"),
        (tiny_stack, [-1], {}, StackError, "slice -1 does not exist"),
        (tiny_stack, [], {}, ConfigError, "no slice is requested"),
        (tiny_stack, [0], {"rect": Rect(Span(0, 97), Span(0, 8))}, ConfigError, "region y 0:97: the rows are 0 to 95"),
        (tiny_stack, [0], {"rect": Rect(Span(0, 9), Span(8, 8))}, ConfigError, "region x 8:8: the columns are 0 to 79"),
        (tiny_stack, [0], {"request": Request(memory=10)}, ConfigError, "memory 0 MiB: the smallest tile needs"),
    ]
    for stack, slices, options, error, message in refused:
        with pytest.raises(error, match=message):
            predictor.predict(stack, slices, **options)
    Path(model.weights).unlink()
    with pytest.raises(ConfigError, match=r"model.pt does not exist; train first"):
        Predictor(replace(model))
    with pytest.raises(ConfigError, match="precision 'float16': must be one of"):
        Predictor(model, precision=cast("Precision", "float16"))
