from pathlib import Path
from typing import BinaryIO

import pytest
import torch
from ignite.engine import Engine, Events

from monai_app.errors import BusyError, ConfigError
from monai_app.training import BestModel, LoadWeights, ResumeCheckpoint
from monai_app.training.checkpoints import at_failure


def evaluator_with(metrics: list[float]) -> Engine:
    """An engine whose n-th run ends with the n-th metric, as MONAI's evaluator presents it."""
    engine = Engine(lambda *_: None)
    vars(engine.state)["key_metric_name"] = "val_mean_iou"
    values = iter(metrics)

    @engine.on(Events.EPOCH_COMPLETED)
    def _(each: Engine) -> None:
        each.state.metrics["val_mean_iou"] = next(values)

    return engine


def test_the_best_validation_is_kept_not_the_last(tmp_path: Path) -> None:
    network, engine = torch.nn.Linear(1, 1), evaluator_with([0.2, 0.5, 0.4])
    BestModel(str(tmp_path / "model.pt"), network).attach(engine)
    for step in range(3):
        torch.nn.init.constant_(network.weight, step)
        engine.run([0])
    assert torch.load(tmp_path / "model.pt", weights_only=True)["weight"].item() == 1
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


def test_a_resumed_run_does_not_overwrite_a_better_model(tmp_path: Path) -> None:
    network = torch.nn.Linear(1, 1)
    first = BestModel(str(tmp_path / "model.pt"), network)
    engine = evaluator_with([0.5])
    first.attach(engine)
    engine.run([0])
    second = BestModel(str(tmp_path / "model.pt"), torch.nn.Linear(1, 1))
    second.load_state_dict(first.state_dict())
    engine = evaluator_with([0.4])
    second.attach(engine)
    engine.run([0])
    saved = torch.load(tmp_path / "model.pt", weights_only=True)
    assert torch.equal(saved["weight"], network.weight)


def test_training_resumes_after_the_last_complete_epoch(tmp_path: Path) -> None:
    def trainer(network: torch.nn.Linear, fail_at: int | None = None) -> tuple[Engine, list[int]]:
        seen: list[int] = []

        def step(engine: Engine, _: int) -> None:
            if engine.state.iteration == fail_at:
                raise KeyboardInterrupt
            seen.append(engine.state.iteration)
            torch.nn.init.constant_(network.weight, engine.state.iteration)

        engine = Engine(step)
        ResumeCheckpoint(str(tmp_path / "last.ckpt"), {"network": network}).attach(engine)
        return engine, seen

    engine, _ = trainer(torch.nn.Linear(1, 1), fail_at=6)
    with pytest.raises(KeyboardInterrupt):
        engine.run([0, 1], max_epochs=4)
    network = torch.nn.Linear(1, 1)
    engine, seen = trainer(network)
    engine.run([0, 1], max_epochs=4)
    assert seen == [5, 6, 7, 8]
    assert network.weight.item() == 8


def test_in_mixed_precision_the_loss_scaling_is_resumed_too(tmp_path: Path) -> None:
    """MONAI's trainer makes a scaler whenever it starts; one of 65536 would skip steps that the first run made."""

    def train(epochs: int, **settings: object) -> float:
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

        def step(engine: Engine, _: int) -> None:
            scaler.scale(torch.zeros(()))
            scaler.update(new_scale=scaler.get_scale() / 2)

        engine = Engine(step)
        vars(engine)["scaler"] = scaler
        ResumeCheckpoint(str(tmp_path / "last.ckpt"), {}, {"max_epochs": epochs, **settings}).attach(engine)
        engine.add_event_handler(Events.EPOCH_COMPLETED(once=2), lambda engine: engine.terminate())
        engine.run([0], max_epochs=epochs)
        return scaler.get_scale()

    assert train(2) == 256
    assert train(2) == 256
    assert train(3, continues=2) == 512


def test_a_finished_training_does_not_train_on(tmp_path: Path) -> None:
    steps: list[int] = []
    for _ in range(2):
        engine = Engine(lambda engine, _: steps.append(engine.state.iteration))
        engine.add_event_handler(Events.EPOCH_COMPLETED(once=2), lambda engine: engine.terminate())  # early stopping
        ResumeCheckpoint(str(tmp_path / "last.ckpt"), {}).attach(engine)
        engine.run([0, 1], max_epochs=9)
    assert steps == [1, 2, 3, 4]


def test_a_finished_training_is_continued_from_its_weights_with_a_new_schedule(tmp_path: Path) -> None:
    """Weights go on; the schedule, and what else belongs to it, begins as it was made."""
    seen: dict[str, list[float]] = {"network": [], "lr_scheduler": []}

    def train(epochs: int, fail_at: int | None = None, **settings: object) -> None:
        objects = {name: torch.nn.Linear(1, 1) for name in seen}
        for item in objects.values():
            torch.nn.init.zeros_(item.weight)

        def step(engine: Engine, _: int) -> None:
            if engine.state.iteration == fail_at:
                raise KeyboardInterrupt
            for name, item in objects.items():
                torch.nn.init.constant_(item.weight, item.weight.item() + 1)
                seen[name].append(item.weight.item())

        engine = Engine(step)
        ResumeCheckpoint(str(tmp_path / "last.ckpt"), objects, {"max_epochs": epochs, **settings}).attach(engine)
        engine.run([0], max_epochs=epochs)

    train(2)
    with pytest.raises(ConfigError, match="max_epochs is 2 there and 4 now"):
        train(4)
    with pytest.raises(ConfigError, match="crop is None there and 48 now"):
        train(4, continues=2, crop=48)
    with pytest.raises(KeyboardInterrupt):
        train(5, continues=2, fail_at=4)
    train(5, continues=2)
    assert seen == {"network": [1, 2, 3, 4, 5], "lr_scheduler": [1, 2, 1, 2, 3]}
    before = (tmp_path / "last.ckpt").read_bytes()
    train(5, continues=2)
    assert (tmp_path / "last.ckpt").read_bytes() == before
    assert len(seen["network"]) == 5


def test_a_checkpoint_of_another_training_is_refused_by_name(tmp_path: Path) -> None:
    def train(**settings: object) -> None:
        engine = Engine(lambda *_: None)
        ResumeCheckpoint(str(tmp_path / "last.ckpt"), {}, settings).attach(engine)
        engine.run([0])

    train(max_epochs=1, crop=[48, 48])
    train(max_epochs=1, crop=[48, 48])
    with pytest.raises(ConfigError, match=r"crop is \[48, 48\] there and \[64, 64\] now"):
        train(max_epochs=1, crop=[64, 64])


def test_a_second_process_is_kept_off_a_run(tmp_path: Path) -> None:
    refused = []

    def train_again(engine: Engine, _: int) -> None:
        other = Engine(lambda *_: None)
        ResumeCheckpoint(str(tmp_path / "last.ckpt"), {}).attach(other)
        with pytest.raises(BusyError, match="another process"):
            other.run([0])
        refused.append(engine.state.iteration)

    engine = Engine(train_again)
    ResumeCheckpoint(str(tmp_path / "last.ckpt"), {}).attach(engine)
    engine.run([0])
    assert refused == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_half_a_file_is_never_taken_for_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, engine = torch.nn.Linear(1, 1), evaluator_with([0.2, 0.5])
    BestModel(str(tmp_path / "model.pt"), network).attach(engine)
    engine.run([0])
    before = (tmp_path / "model.pt").read_bytes()

    def half(state: object, file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="No space"):
        engine.run([0])
    assert (tmp_path / "model.pt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    network = torch.nn.Linear(1, 1)
    torch.save(network.state_dict(), tmp_path / "last.ckpt")
    for content, message in ((None, "not a checkpoint of a training"), (b"half", "is damaged")):
        if content is not None:
            (tmp_path / "last.ckpt").write_bytes(content)
        trainer = Engine(lambda *_: None)
        ResumeCheckpoint(str(tmp_path / "last.ckpt"), {"network": network}).attach(trainer)
        with pytest.raises(ConfigError, match=message):
            trainer.run([0])


def test_weights_that_do_not_fit_end_an_evaluation_with_their_names(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 1).state_dict(), tmp_path / "model.pt")
    network, engine = torch.nn.Linear(1, 1), Engine(lambda *_: None)
    LoadWeights(str(tmp_path / "model.pt"), network).attach(engine)
    with pytest.raises(ConfigError, match=r"weight \(1, 2\) instead of \(1, 1\)"):
        engine.run([0])


class Handler:
    """Something that is to be closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_a_failure_reaches_every_handler_and_the_caller() -> None:
    def fail(*_: object) -> None:
        raise ValueError("broken")

    engine, handlers = Engine(fail), [Handler(), Handler()]
    for handler in handlers:
        at_failure(engine, handler.close)
    with pytest.raises(ValueError, match="broken"):
        engine.run([0])
    assert all(handler.closed for handler in handlers)
