import hashlib
import shutil
from pathlib import Path

import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor

from monai_app.errors import StackError, TargetExistsError
from monai_app.inference import LabelWriterHandler, check_export, export_tiff
from monai_app.stack import Phase, Stack

PHASES = [Phase(1, "pore", "#112233"), Phase(2, "solid", "#445566")]


@pytest.fixture
def weights(tmp_path: Path) -> str:
    (tmp_path / "run" / "models").mkdir(parents=True)
    (tmp_path / "run" / "models" / "model.pt").write_bytes(b"weights")
    return str(tmp_path / "run" / "models" / "model.pt")


@pytest.fixture
def stack(tiny_stack: Stack, tmp_path: Path) -> Stack:
    shutil.copytree(tiny_stack.path, tmp_path / "own.ome.zarr")
    return Stack.open(tmp_path / "own.ome.zarr")


def segment(stack: Stack, handler: LabelWriterHandler, fail_at: int | None = None) -> None:
    def step(_: Engine, z: int) -> list[dict[str, torch.Tensor]]:
        if z == fail_at:
            raise RuntimeError("broken slice")
        image = MetaTensor(torch.zeros(1, *stack.shape[1:]), meta={"z": z})
        return [{"image": image, "pred": torch.full((1, *stack.shape[1:]), 1 + z % 2, dtype=torch.uint8)}]

    engine = Engine(step)
    handler.attach(engine)
    engine.run(list(range(stack.shape[0])))


def test_every_slice_is_written_with_the_models_phases_and_its_provenance(stack: Stack, weights: str) -> None:
    segment(stack, LabelWriterHandler(str(stack.path), "net", PHASES, weights))
    assert [int(stack.read_labels("net", z).max()) for z in range(8)] == [1, 2] * 4
    record = stack.label_attributes("net")
    assert record["weights_sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert (record["run"], record["stack_identity"]) == ("run", stack.identity)


def test_a_failure_leaves_no_labels_and_is_raised(stack: Stack, weights: str) -> None:
    with pytest.raises(RuntimeError, match="broken slice"):
        segment(stack, LabelWriterHandler(str(stack.path), "net", PHASES, weights), fail_at=3)
    assert stack.label_names() == ()
    segment(stack, LabelWriterHandler(str(stack.path), "net", PHASES, weights))


def test_finished_labels_are_not_replaced_unasked(stack: Stack, weights: str) -> None:
    segment(stack, LabelWriterHandler(str(stack.path), "net", PHASES, weights))
    with pytest.raises(TargetExistsError, match="'net'"):
        segment(stack, LabelWriterHandler(str(stack.path), "net", PHASES, weights))
    segment(stack, LabelWriterHandler(str(stack.path), "net", PHASES, weights, overwrite=True))


def test_export_refuses_what_is_not_there_or_in_the_way(stack: Stack, weights: str, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="'net'"):
        export_tiff(str(stack.path), "net", str(tmp_path / "tiff"))
    assert not (tmp_path / "tiff").exists()
    segment(stack, LabelWriterHandler(str(stack.path), "net", PHASES, weights))
    export_tiff(str(stack.path), "net", str(tmp_path / "tiff"))
    for refuse in (export_tiff, lambda _, __, folder: check_export(folder, overwrite=False)):
        with pytest.raises(TargetExistsError):
            refuse(str(stack.path), "net", str(tmp_path / "tiff"))
    check_export(str(tmp_path / "tiff"), overwrite=True)
