"""What a segmentation reads is read once, named, and not replaced meanwhile without a word."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch

from monai_app.domain.region import Rect
from monai_app.errors import ConfigError, StackError
from monai_app.files import file_sha256
from monai_app.inference import Model, Request, Segmentation, export_tiff
from monai_app.inference.compute import prepare
from monai_app.stack import Stack
from monai_app.stack.label_images.arrays import ResultArrays
from tests.inference.models import labels_of, model_of
from tests.stores import another, put

TILES = Request(tile=(48, 80))


@pytest.fixture
def stack(tiny_stack: Stack, tmp_path: Path) -> Stack:
    return Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "own.ome.zarr"))


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return model_of(tmp_path / "run")


def segmentation(model: Model, stack: Stack, mask: str | None = None) -> Segmentation:
    return Segmentation(model, str(stack.path), "net", region={"slices": "0:2"}, request=TILES, mask=mask)


@pytest.fixture
def at_second_write(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Have something done when the second chunk of labels is written."""

    def arrange(do: Callable[[], object]) -> None:
        plain, writes = ResultArrays.write, list[int]()

        def write(self: ResultArrays, z: int, *rest: object) -> None:
            plain(self, z, *rest)  # type: ignore[arg-type]
            writes.append(z)
            if len(writes) == 2:
                do()

        monkeypatch.setattr(ResultArrays, "write", write)

    return arrange


def test_weights_that_are_replaced_meanwhile_end_it_and_the_old_ones_finish_it(
    model: Model, stack: Stack, tmp_path: Path, at_second_write: Callable[[Callable[[], object]], None]
) -> None:
    weights, old = Path(model.weights), Path(model.weights).read_bytes()
    at_second_write(lambda: weights.write_bytes(Path(model_of(tmp_path / "other", seed=1).weights).read_bytes()))
    with pytest.raises(ConfigError, match=r"model\.pt was replaced since it was read, so nothing more is written"):
        segmentation(model, stack).run()
    assert stack.label_names() == ()
    with pytest.raises(ConfigError, match=r"(?s)begun with -> asked for.*weights"):
        segmentation(Model(model.spec, model.network, model.weights), stack).run()
    weights.write_bytes(old)  # the same bytes with another date
    segmentation(Model(model.spec, model.network, model.weights), stack).run()
    assert stack.label_attributes("net")["weights_sha256"] == file_sha256(weights) == model.sha256


def test_a_model_in_another_process_has_the_weights_that_were_read(model: Model, stack: Stack, tmp_path: Path) -> None:
    prepare(model, torch.device("cpu"), "float32")
    sent = pickle.dumps(model)
    Path(model.weights).write_bytes(b"")
    received: Model = pickle.loads(sent)
    assert received.sha256 == model.sha256
    for one, other in zip(model.network.parameters(), received.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_mask_that_is_replaced_meanwhile_ends_it(
    model: Model, stack: Stack, tmp_path: Path, at_second_write: Callable[[Callable[[], object]], None]
) -> None:
    file = tmp_path / "mask.tif"
    tifffile.imwrite(file, np.ones(stack.shape[1:], np.uint8))
    at_second_write(lambda: tifffile.imwrite(file, np.eye(*stack.shape[1:], dtype=np.uint8)))
    with pytest.raises(ConfigError, match=r"mask\.tif was replaced since it was read"):
        segmentation(model, stack, str(file)).run()
    planes = [np.ones(stack.shape[1:], np.uint8)] * stack.shape[0]
    stack.write_labels("mask", planes)
    at_second_write(lambda: stack.write_labels("mask", planes, overwrite=True, attributes={"another": 1}))
    with pytest.raises(ConfigError, match=r"mask 'mask' of own\.ome\.zarr was replaced since it was read"):
        Segmentation(model, str(stack.path), "masked", region={"slices": "0:2"}, mask="mask").run()
    assert stack.label_names() == ("mask",)


def test_a_stack_that_is_replaced_meanwhile_gets_no_labels(
    model: Model, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, plain = another(tmp_path), Stack.read_slab

    def read(self: Stack, z: int, *rest: object) -> object:
        if z == 1:
            put(other, stack.path)
            monkeypatch.setattr(Stack, "read_slab", plain)
        return plain(self, z, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Stack, "read_slab", read)
    with pytest.raises(StackError, match=r"(?s)own\.ome\.zarr.*(was replaced|cannot be written)"):
        segmentation(model, stack).run()
    assert Stack.open(stack.path).label_names() == ()


def test_labels_that_are_replaced_while_they_become_tiffs_give_none(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planes = [np.ones(stack.shape[1:], np.uint8)] * stack.shape[0]
    stack.write_labels("net", planes)
    plain = Stack.read_labels

    def read(self: Stack, name: str, z: int, rect: Rect | None = None, **level: int) -> np.ndarray:
        if z == 1:
            stack.write_labels("net", [2 * plane for plane in planes], overwrite=True, attributes={"another": 1})
        return plain(self, name, z, rect, **level)

    monkeypatch.setattr(Stack, "read_labels", read)
    with pytest.raises(StackError, match=r"labels 'net' of .* were replaced while they were read"):
        export_tiff(str(stack.path), "net", str(tmp_path / "tiffs"))
    assert not (tmp_path / "tiffs").exists()
    assert labels_of(stack, "net").min() == 2
