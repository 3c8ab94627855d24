"""What the bundle's training pipeline feeds the network."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.bundle import ConfigParser
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from monai_app.domain.region import Rect
from monai_app.errors import AnnotationError, ConfigError
from monai_app.stack import Stack
from monai_app.training import EpochProgress, SeededDataset
from monai_app.transforms import annotated_items, repeat_items
from tests.specs import phases_of, spec_of


@pytest.fixture
def config(trained: Path, tiny_stack: Stack) -> ConfigParser:
    parser = ConfigParser(ConfigParser.load_config_file(trained / "configs" / "train.yaml"))
    parser.update({"bundle_root": str(trained), "dataset_dir": str(tiny_stack.path)})
    parser.get_parsed_content("imports")
    return parser


def many_items(dataset: SeededDataset, count: int) -> Iterator[dict[str, torch.Tensor]]:
    """Items of as many epochs as it takes."""
    for number in range(count):
        epoch, index = divmod(number, len(dataset))
        dataset.set_epoch(epoch)
        yield dataset[index][0]


def test_crops_never_show_a_label_of_a_validation_block(config: ConfigParser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mark every pixel with its side of the split (1 trains, 3 validates), then look into crops and validation."""
    (split,) = config.get_parsed_content("split").splits.values()

    def mark(_: Stack, z: int) -> np.ndarray:
        return np.where(split.validation[z], 3, 1).astype(np.uint8)

    monkeypatch.setattr(Stack, "read_annotation", mark)
    training, validation = (config.get_parsed_content(f"{side}::dataset") for side in ("train", "validate"))
    crops = [item["label"] for item in many_items(training, 60)]
    assert set(np.unique(np.stack(crops))) == {0, 1}
    seen = np.stack([validation[i]["label"] for i in range(len(validation))])
    assert set(np.unique(seen)) == {0, 3}
    np.testing.assert_array_equal(seen[:, 0] == 3, np.stack([split.validation[z] for z in split.z]))


def test_crops_have_the_models_channels_and_keep_image_and_label_together(config: ConfigParser) -> None:
    dataset = config.get_parsed_content("train::dataset")
    shares = []
    for item in many_items(dataset, 60):
        assert item["image"].shape == (6, 48, 48)
        assert item["label"].shape == (1, 48, 48)
        label, middle = item["label"][0], item["image"][3]  # the middle slice's TLD, in which clinker is bright
        if (label == 3).sum() > 30 and (label == 1).sum() > 30:
            shares.append(float(middle[label == 3].mean() - middle[label == 1].mean()))
    assert len(shares) > 10
    assert min(shares) > 0.5


def test_the_cache_survives_the_augmentation(config: ConfigParser) -> None:
    dataset = config.get_parsed_content("train::dataset")
    before = [item["image"].clone() for item in dataset._cache]
    for i in range(20):
        dataset[i % len(dataset)]
    for item, image in zip(dataset._cache, before, strict=True):
        assert torch.equal(item["image"], image)


def test_only_the_slabs_around_annotated_slices_are_read(config: ConfigParser, monkeypatch: pytest.MonkeyPatch) -> None:
    read: set[int] = set()
    original, annotation = Stack.read_slab, Stack.read_annotation

    read_annotations: set[int] = set()

    def annotation_spy(self: Stack, z: int) -> np.ndarray:
        read_annotations.add(z)
        return annotation(self, z)

    monkeypatch.setattr(Stack, "read_annotation", annotation_spy)

    def spy(self: Stack, z: int, detectors: list[str], slices: int, rect: Rect | None = None) -> np.ndarray:
        read.update(range(z - slices // 2, z + slices // 2 + 1))
        return original(self, z, detectors, slices, rect)

    monkeypatch.setattr(Stack, "read_slab", spy)
    config.get_parsed_content("train::dataset")
    assert read == {0, 1, 2, 3, 4, 5, 6}
    assert read_annotations == {1, 3, 5}


def test_items_go_round_the_slices_and_other_phases_are_refused(tiny_stack: Stack) -> None:
    items = annotated_items(str(tiny_stack.path), "train", spec_of())
    assert [item["z"] for item in repeat_items(items, 5)] == [1, 3, 5, 1, 3]
    assert [item["z"] for item in annotated_items(str(tiny_stack.path), "test")] == [6]
    with pytest.raises(AnnotationError, match="slag"):
        annotated_items(str(tiny_stack.path), "train", spec_of(phases=phases_of(["slag"])))


def test_a_slice_that_was_trained_on_is_no_test(tiny_stack: Stack) -> None:
    path = str(tiny_stack.path)
    seen = {"identity": tiny_stack.identity, "slices": [2, 6]}
    with pytest.raises(AnnotationError, match="trained on slice 6"):
        annotated_items(path, "test", None, seen)
    assert annotated_items(path, "test", None, {**seen, "slices": [1, 3, 5]})
    assert annotated_items(path, "test", None, {**seen, "identity": "another stack"})


def test_a_running_average_of_the_weights_is_validated_and_kept(config: ConfigParser, trained: Path) -> None:
    average = config.get_parsed_content("ema").network
    assert config.get_parsed_content("best_model").network is average
    assert config.get_parsed_content("validate::evaluator").network is average
    last = torch.load(trained / "models" / "last.ckpt", weights_only=True)
    assert last["ema"].keys() == last["network"].keys()
    assert any(not torch.equal(last["ema"][name], value) for name, value in last["network"].items())


def test_a_checkpoint_of_another_network_is_not_resumed(trained_sensor3d: Path, tiny_stack: Stack) -> None:
    """Another head has the same weights by name and shape: only the settings tell the two apart."""
    parser = ConfigParser(ConfigParser.load_config_file(trained_sensor3d / "configs" / "train.yaml"))
    parser.update({"bundle_root": str(trained_sensor3d), "dataset_dir": str(tiny_stack.path), "head": "middle"})
    parser.get_parsed_content("imports")
    engine = Engine(lambda *_: None)
    parser.get_parsed_content("resume").attach(engine)
    with pytest.raises(ConfigError, match="head is 'final' there and 'middle' now"):
        engine.run([0])


def test_tensorboard_has_scalars_and_pictures(trained: Path) -> None:
    events = EventAccumulator(str(trained / "eval")).Reload()
    tags = events.Tags()
    phases = {f"val_iou/{name}" for name in ("pore", "hydrate", "clinker")}
    steps = {"train_loss", "train_loss/CrossEntropyLoss", "train_loss/DiceLoss", "learning_rate"}
    assert steps | phases | {"val_mean_iou"} == set(tags["scalars"])
    values = {name: np.array([event.value for event in events.Scalars(name)]) for name in tags["scalars"]}
    parts = values["train_loss/CrossEntropyLoss"] + values["train_loss/DiceLoss"]
    np.testing.assert_allclose(values["train_loss"], parts, rtol=1e-5)
    np.testing.assert_allclose(values["val_mean_iou"], np.mean([values[name] for name in phases], axis=0), rtol=1e-5)
    assert values["learning_rate"].argmax() < 5
    assert tags["images"] == ["validation"]
    assert [event.step for event in events.Scalars("val_mean_iou")] == [1, 2]


def test_progress_shows_loss_metric_rate_and_time_left(caplog: pytest.LogCaptureFixture) -> None:
    evaluator = Engine(lambda *_: None)
    evaluator.state.metrics["val_mean_iou"] = 0.75
    trainer = Engine(lambda *_: [{"loss": torch.tensor(0.5)}])
    EpochProgress(evaluator).attach(trainer)
    with caplog.at_level(logging.INFO, "monai_app"):
        trainer.run([0, 1], max_epochs=2)
    assert "epoch 1/2: loss 0.5000, val_mean_iou 0.7500" in caplog.text
    assert "left" in caplog.text


def test_a_failed_training_closes_its_bar(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    def step(_: Engine, batch: int) -> list[dict[str, torch.Tensor]]:
        return [{"loss": torch.tensor(1 / batch)}]

    trainer = Engine(step)
    EpochProgress(Engine(lambda *_: None)).attach(trainer)
    with caplog.at_level(logging.INFO, "monai_app"), pytest.raises(ZeroDivisionError):
        trainer.run([1, 0])
    shown = capsys.readouterr().err
    assert "epoch 1/1:" in shown
    assert shown.endswith("\r")
