"""A training and an evaluation are of one stack and one file of weights, or end."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from torch import nn

from monai_app.errors import BusyError, ConfigError, StackError
from monai_app.files import file_sha256
from monai_app.networks.calibration import record_calibration
from monai_app.stack import Stack, annotate, snapshot
from monai_app.training import LoadWeights, SameStack, ScoreWriter
from monai_app.training.evaluation import read_document, read_stack_scores
from monai_app.training.evaluation.confidence import Confidence
from monai_app.transforms import LoadAnnotationd, LoadSlabd, annotated_items
from tests.networks.test_calibration import FOUND
from tests.specs import PHASES, spec_of
from tests.stores import another, put


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    return another(tmp_path_factory.mktemp("other"))


@pytest.fixture
def stack(tiny_stack: Stack, tmp_path: Path) -> Stack:
    return Stack.open(shutil.copytree(tiny_stack.path, tmp_path / "own.ome.zarr"))


def blank(stack: Stack) -> np.ndarray:
    return np.ones(stack.shape[1:], np.uint8)


@pytest.mark.parametrize("way", ["replaced", "annotated"])
def test_an_item_is_read_from_the_stack_that_it_names(
    stack: Stack, other: Stack, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    item: dict[Any, Any] = annotated_items(str(stack.path), "train")[0]
    assert item["identity"] == stack.identity
    slab, label = LoadSlabd("image", spec_of(["ICE"], 1)), LoadAnnotationd("label")
    label(slab(item))
    plain = Stack.read_annotation

    def read(self: Stack, *rest: Any) -> np.ndarray:
        put(other, stack.path) if way == "replaced" else annotate(Stack.open(stack.path), {0: blank(stack)})
        return plain(self, *rest)

    monkeypatch.setattr(Stack, "read_annotation", read)
    with pytest.raises(StackError, match="was replaced or annotated while it was read"):
        label(item)
    with pytest.raises(StackError, match="was replaced or annotated while it was read"):
        slab(item)


class Trainer:
    """An engine of two epochs that does something after the first one's only step."""

    def __init__(self, stack: Stack, record: Path, do: Callable[[], object] = lambda: None) -> None:
        self.engine, self.kept = Engine(lambda *_: None), list[int]()
        self.engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), lambda _: do())
        SameStack(annotated_items(str(stack.path), "train"), str(record.with_name("models"))).attach(self.engine)
        self.engine.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: self.kept.append(engine.state.epoch))

    def run(self) -> None:
        self.engine.run([0], max_epochs=2)


def test_a_training_ends_when_its_stack_is_replaced_but_not_when_it_is_annotated(
    stack: Stack, other: Stack, tmp_path: Path
) -> None:
    record = tmp_path / "run.json"
    annotated = Trainer(stack, record, lambda: annotate(stack, {0: blank(stack)}))
    annotated.run()
    assert annotated.kept == [1, 2]
    replaced = Trainer(stack, record, lambda: put(other, stack.path))
    with pytest.raises(StackError, match="another stack was ingested in its place"):
        replaced.run()
    assert replaced.kept == []


def test_a_training_does_not_begin_on_another_stack_than_it_read_or_was_made_of(
    stack: Stack, other: Stack, tmp_path: Path
) -> None:
    record = tmp_path / "run.json"
    record.write_text(json.dumps({"stack": other.identity}))
    with pytest.raises(StackError, match=r"was replaced or annotated since .* was created"):
        Trainer(stack, record).run()
    record.write_text(json.dumps({"stack": stack.identity}))
    trainer = Trainer(stack, record)
    annotate(stack, {0: blank(stack)})
    with pytest.raises(StackError, match="was replaced or annotated while it was read"):
        trainer.run()


def test_a_training_on_several_stacks_looks_at_each(stack: Stack, other: Stack, tmp_path: Path) -> None:
    items = annotated_items([str(stack.path), str(other.path)], "train")
    (tmp_path / "run.json").write_text(json.dumps({"stack": [stack.identity, other.identity]}))

    def run(do: Callable[[], object] = lambda: None) -> None:
        engine = Engine(lambda *_: None)
        engine.add_event_handler(Events.ITERATION_COMPLETED, lambda _: do())
        SameStack(items, str(tmp_path / "models")).attach(engine)
        engine.run([0])

    run()
    with pytest.raises(StackError, match="another stack was ingested in its place"):
        run(lambda: put(other, stack.path))
    items = items[-1:]
    with pytest.raises(StackError, match="or these are other stacks"):
        run()


def test_a_snapshot_whose_stack_was_replaced_is_no_stack_any_more(stack: Stack, other: Stack, tmp_path: Path) -> None:
    taken = snapshot(stack, tmp_path / "taken.ome.zarr")
    annotate(stack, {0: blank(stack)})
    assert taken.reopened().identity == taken.identity
    put(other, stack.path)
    with pytest.raises(StackError, match=r"is a snapshot of .*own\.ome\.zarr, which was replaced since"):
        taken.reopened()


class Evaluation:
    """An evaluation of some slices of a stack, as evaluate.yaml makes it, without a real network."""

    def __init__(self, stack: Stack, run: Path, slices: tuple[int, ...], seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.run_folder, spec = run, spec_of(stack.detectors, 1, phases=PHASES)
        (run / "models").mkdir(parents=True, exist_ok=True)
        self.network, self.weights = nn.Linear(1, 1), run / "models" / "model.pt"
        torch.save(self.network.state_dict(), self.weights)
        items: list[dict[Any, Any]] = [
            {"image": str(stack.path), "label": str(stack.path), "z": z, "identity": stack.identity} for z in slices
        ]
        read = [LoadAnnotationd("label")(LoadSlabd("image", spec)(item)) for item in items]
        self.engine = Engine(self.step)
        LoadWeights(str(self.weights), self.network).attach(self.engine)
        ScoreWriter(str(run / "eval"), spec, [str(stack.path)], str(self.weights)).attach(self.engine)
        self.data = [[each] for each in read]

    def step(self, engine: Engine, batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
        (item,) = batch
        return [{**item, "pred": nn.functional.one_hot(item["label"][0].long(), 4)[..., 1:].movedim(-1, 0)}]

    def run(self, do: Callable[[], object] = lambda: None) -> dict[str, Any]:
        self.engine.add_event_handler(Events.ITERATION_COMPLETED, lambda _: do())
        self.engine.run(self.data)
        return scores_of(self.run_folder)


def scores_of(run: Path, stack: str = "") -> dict[str, Any]:
    """The scores of all stacks, or of one."""
    scores: dict[str, Any] = json.loads((run / "eval" / "test" / stack / "scores.json").read_text())
    return scores


@pytest.fixture(autouse=True)
def plain_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monai_app.training.evaluation.writer.draw_item", lambda *_: None)
    monkeypatch.setattr("monai_app.training.evaluation.writer.as_png", lambda _: b"a picture")
    monkeypatch.setattr("monai_app.training.evaluation.writer.SECTIONS", ())


def names(run: Path) -> list[str]:
    folder = run / "eval" / "test"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


POOLED = ["scores.csv", "scores.json"]


def files_of(stack: str, *slices: int) -> list[str]:
    return [f"{stack}/scores.csv", f"{stack}/scores.json", *(f"{stack}/slice_{z:04d}.png" for z in slices)]


def test_stacks_are_kept_apart_and_pooled(stack: Stack, other: Stack, tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = Evaluation(stack, run, (1, 3)).run()
    assert first["weights_sha256"] == file_sha256(run / "models" / "model.pt")
    assert names(run) == [*files_of("own", 1, 3), *POOLED]
    second = Evaluation(other, run, (6,)).run()
    assert names(run) == [*files_of("another", 6), *files_of("own", 1, 3), *POOLED]
    listed = [(each["folder"], each["stack_identity"], each["slices"]) for each in second["stacks"]]
    assert listed == [("another", other.identity, [6]), ("own", stack.identity, [1, 3])]
    alone = [np.array(scores_of(run, name)["confusion"]) for name in ("another", "own")]
    np.testing.assert_array_equal(second["confusion"], sum(alone))
    places = [(part["stack"], part["slice"]) for part in second["parts"]]
    assert places == [("another", None), ("another", 6), ("own", None), ("own", 1), ("own", 3)]


def test_a_stack_that_was_annotated_since_takes_the_place_of_its_own_scores(stack: Stack, tmp_path: Path) -> None:
    run = tmp_path / "run"
    Evaluation(stack, run, (1, 3)).run()
    later = annotate(stack, {0: blank(stack)}, role="test")
    moved = Stack.open(later.path.rename(tmp_path / "moved.ome.zarr"))
    pooled = Evaluation(moved, run, (6,)).run()
    assert names(run) == [*files_of("moved", 6), *POOLED]
    assert [each["stack_identity"] for each in pooled["stacks"]] == [later.identity]


def test_two_stacks_of_one_name_have_a_folder_each(stack: Stack, other: Stack, tmp_path: Path) -> None:
    run = tmp_path / "run"
    Evaluation(stack, run, (1,)).run()
    (tmp_path / "elsewhere").mkdir()
    namesake = Stack.open(shutil.copytree(other.path, tmp_path / "elsewhere" / "Own.ome.zarr"))
    for _ in range(2):
        pooled = Evaluation(namesake, run, (6,)).run()
    suffixed = f"Own-{other.ingested[:8]}"
    assert names(run) == [*files_of(suffixed, 6), *files_of("own", 1), *POOLED]
    assert [each["store"] for each in pooled["stacks"]] == ["Own", "own"]


@pytest.mark.parametrize("name", ["a:b", "", ".hidden", "scores.csv", "confidence.png"])
def test_an_odd_name_is_no_folder_of_scores(
    stack: Stack, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monai_app.training.evaluation.writer.SECTIONS", [Confidence()])
    run = tmp_path / "run"
    odd = Stack.open(stack.path.rename(tmp_path / f"{name}.ome.zarr"))
    pooled = Evaluation(odd, run, (1,)).run()
    (listed,) = pooled["stacks"]
    assert (listed["store"], (run / "eval" / "test" / listed["folder"]).is_dir()) == (name, True)
    assert listed["folder"].endswith(f"-{stack.ingested[:8]}")


def test_scores_of_other_weights_and_of_earlier_versions_go(stack: Stack, other: Stack, tmp_path: Path) -> None:
    run = tmp_path / "run"
    Evaluation(stack, run, (1, 3)).run()
    (run / "eval" / "test" / "mine").mkdir()
    (run / "eval" / "test" / "mine" / "notes.txt").write_text("kept")
    (run / "eval" / "slice_0009.png").write_bytes(b"of version 0.1.0")
    (run / "eval" / "scores.json").write_text("{}")
    pooled = Evaluation(other, run, (6,), seed=1).run()
    assert names(run) == [*files_of("another", 6), "mine/notes.txt", *POOLED]
    assert [each["store"] for each in pooled["stacks"]] == ["another"]
    assert sorted(path.name for path in (run / "eval").iterdir()) == ["earlier", "test"]
    assert sorted(path.name for path in (run / "eval" / "earlier").iterdir()) == ["scores.json", "slice_0009.png"]


def calibrate(run: Path) -> None:
    weights = run / "models" / "model.pt"
    (run / "configs").mkdir(exist_ok=True)
    (run / "configs" / "metadata.json").write_text("{}")
    record_calibration(weights, FOUND.replaced(weights_sha256=file_sha256(weights)))


def test_scores_with_another_temperature_go(stack: Stack, other: Stack, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert Evaluation(stack, run, (1,)).run()["temperature"] == 1
    assert read_stack_scores(run, stack.identity) is not None
    calibrate(run)
    assert read_stack_scores(run, stack.identity) is None
    pooled = Evaluation(other, run, (6,)).run()
    assert ([each["store"] for each in pooled["stacks"]], pooled["temperature"]) == (["another"], 1.5)


def test_slices_of_weights_that_are_calibrated_meanwhile_have_one_temperature(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monai_app.training.evaluation.writer.SECTIONS", [Confidence()])
    pooled = Evaluation(stack, tmp_path / "run", (1, 3)).run(lambda: calibrate(tmp_path / "run"))
    assert (pooled["temperature"], pooled["confidence"]["temperature"]) == (1, 1)


def test_a_stack_that_is_called_like_a_picture_is_scored_twice(stack: Stack, tmp_path: Path) -> None:
    named = Stack.open(stack.path.rename(tmp_path / "mill.png.ome.zarr"))
    for _ in range(2):
        Evaluation(named, tmp_path / "run", (1,)).run()
    assert names(tmp_path / "run") == [*files_of("mill.png", 1), *POOLED]


def test_of_two_folders_of_a_stack_that_a_kill_left_the_later_one_is_pooled(
    stack: Stack, other: Stack, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    Evaluation(stack, run, (1,)).run()
    folder = run / "eval" / "test"
    shutil.copytree(folder / "own", folder / "earlier name")
    os.utime(folder / "earlier name" / "scores.json", (0, 0))
    pooled = Evaluation(other, run, (6,)).run()
    assert [each["folder"] for each in pooled["stacks"]] == ["another", "own"]


def test_configs_of_earlier_versions_name_the_confusion_too(stack: Stack, tmp_path: Path) -> None:
    ScoreWriter(str(tmp_path), spec_of(), [str(stack.path)], str(tmp_path / "model.pt"), confusion=object())


def test_scores_removed_by_another_evaluation_are_reported(tmp_path: Path) -> None:
    with pytest.raises(BusyError, match=r"scores\.json has been removed by another evaluation"):
        read_document(tmp_path / "scores.json")


def test_damaged_scores_of_a_stack_are_not_pooled(stack: Stack, other: Stack, tmp_path: Path) -> None:
    run = tmp_path / "run"
    Evaluation(stack, run, (1,)).run()
    (run / "eval" / "test" / "own" / "scores.json").write_text('{"weights_sha256": "')
    pooled = Evaluation(other, run, (6,)).run()
    assert [each["store"] for each in pooled["stacks"]] == ["another"]
    assert names(run) == [*files_of("another", 6), *POOLED]


@pytest.mark.parametrize("where", ["folders._write_stack", "folders._pool"])
def test_a_kill_before_the_pooled_scores_are_written_leaves_none(
    stack: Stack, other: Stack, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    Evaluation(stack, run, (1,)).run()

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"monai_app.training.evaluation.{where}", kill)
        with pytest.raises(KeyboardInterrupt):
            Evaluation(other, run, (6,)).run()
    assert not set(POOLED) & set(names(run))
    pooled = Evaluation(other, run, (6,)).run()  # the same command again
    assert [each["store"] for each in pooled["stacks"]] == ["another", "own"]


def test_an_evaluation_whose_inputs_were_replaced_writes_nothing(stack: Stack, other: Stack, tmp_path: Path) -> None:
    run = tmp_path / "run"
    before = Evaluation(stack, run, (1,)).run()
    weights = run / "models" / "model.pt"
    with pytest.raises(ConfigError, match=r"model\.pt was replaced since it was read"):
        Evaluation(stack, run, (3,)).run(lambda: torch.save(nn.Linear(1, 1).state_dict(), weights))
    with pytest.raises(StackError, match="another stack was ingested in its place"):
        Evaluation(stack, run, (3,)).run(lambda: put(other, stack.path))
    with pytest.raises(StackError, match="was replaced or annotated while it was read"):
        Evaluation(stack, run, (3,)).run()
    assert scores_of(run) == before
    assert names(run) == [*files_of("own", 1), *POOLED]


def test_slices_that_are_annotated_meanwhile_change_nothing(stack: Stack, tmp_path: Path) -> None:
    scores = Evaluation(stack, tmp_path / "run", (1,)).run(lambda: annotate(stack, {0: blank(stack)}))
    assert scores["stacks"][0]["stack_identity"] == stack.identity != stack.reopened().identity
