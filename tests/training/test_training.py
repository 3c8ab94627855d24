"""What the bundle's training pipeline feeds the network."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.bundle import ConfigParser
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from monai_app.errors import AnnotationError
from monai_app.stack import Phase, Stack
from monai_app.training import EpochProgress, annotated_items, repeat_items


@pytest.fixture
def config(trained: Path, tiny_stack: Stack) -> ConfigParser:
    parser = ConfigParser(ConfigParser.load_config_file(trained / "configs" / "train.yaml"))
    parser.update({"bundle_root": str(trained), "dataset_dir": str(tiny_stack.path)})
    parser.get_parsed_content("imports")
    return parser


def test_crops_never_show_a_label_of_a_validation_block(config: ConfigParser, tiny_stack: Stack) -> None:
    """Mark every pixel's identity by swapping labels for their side of the split, then look into 60 crops."""
    dataset, split = config.get_parsed_content("train::dataset"), config.get_parsed_content("split")
    validating = sum(int(((tiny_stack.read_annotation(z) > 0) & mask).sum()) for z, mask in split.validation.items())
    assert validating > 0
    for z in tiny_stack.train_slices:
        cached = next(item for item, source in zip(dataset._cache, dataset.data, strict=False) if source["z"] == z)
        assert not (cached["label"][0].numpy() > 0)[split.validation[z]].any()


def test_crops_have_the_models_channels_and_keep_image_and_label_together(config: ConfigParser) -> None:
    dataset = config.get_parsed_content("train::dataset")
    dataset.transform.set_random_state(0)
    shares = []
    for i in range(60):
        item = dataset[i % len(dataset)][0]
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
    original = Stack.read_slab

    def spy(self: Stack, z: int, detectors: list[str], slices: int, window: object = None) -> np.ndarray:
        read.update(range(z - slices // 2, z + slices // 2 + 1))
        return original(self, z, detectors, slices, window)

    monkeypatch.setattr(Stack, "read_slab", spy)
    config.get_parsed_content("train::dataset")
    assert read == {0, 1, 2, 3, 4, 5, 6}


def test_items_go_round_the_slices_and_other_phases_are_refused(tiny_stack: Stack) -> None:
    items = annotated_items(str(tiny_stack.path), tiny_stack.phases, "train")
    assert [item["z"] for item in repeat_items(items, 5)] == [1, 3, 5, 1, 3]
    assert [item["z"] for item in annotated_items(str(tiny_stack.path), tiny_stack.phases, "test")] == [6]
    with pytest.raises(AnnotationError, match="slag"):
        annotated_items(str(tiny_stack.path), [Phase(1, "slag", "#000000")], "train")


def test_tensorboard_has_scalars_and_pictures(trained: Path) -> None:
    events = EventAccumulator(str(trained / "eval")).Reload()
    tags = events.Tags()
    assert {"train_loss", "val_mean_iou"} <= set(tags["scalars"])
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
