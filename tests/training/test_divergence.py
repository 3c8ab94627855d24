"""A training whose numbers leave the finite ones ends, and what it wrote before stays."""

from pathlib import Path

import pytest
import torch
from ignite.engine import Engine, Events
from monai.engines import SupervisedTrainer
from torch.utils.data import DataLoader

from monai_app.errors import DivergedError
from monai_app.training import BestModel, FiniteLoss, ResumeCheckpoint

ITEM = {"image": torch.ones(1), "label": torch.zeros(1)}


def trainer_of(network: torch.nn.Linear, bad: float, at: int, folder: Path) -> SupervisedTrainer:
    """A trainer of three steps an epoch, whose loss is ``bad`` in step ``at``."""
    step = iter(range(1, 100))

    def loss(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = (prediction - target).square().mean()
        return value * bad if next(step) == at else value

    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=4,
        train_data_loader=DataLoader([ITEM] * 3, batch_size=1),  # type: ignore[arg-type]
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.125),
        loss_function=loss,
    )
    FiniteLoss().attach(trainer)
    ResumeCheckpoint(str(folder / "last.ckpt"), {"network": network}).attach(trainer)
    return trainer


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_first_loss_that_is_not_finite_ends_a_training(tmp_path: Path, bad: float) -> None:
    network = torch.nn.Linear(1, 1)
    with pytest.raises(DivergedError, match=rf"the loss is {bad} in step 5 .*epoch 2.* 0\.125 .*lower learning_rate"):
        trainer_of(network, bad, at=5, folder=tmp_path).run()
    assert torch.stack([weight.isfinite().all() for weight in network.parameters()]).all()
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert (kept["epoch"], kept["finished"]) == (1, False)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def evaluator_of(metric: float) -> Engine:
    engine = Engine(lambda *_: None)
    vars(engine.state)["key_metric_name"] = "val_mean_iou"
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: engine.state.metrics.update(val_mean_iou=metric))
    return engine


def validate(best: BestModel, metric: float) -> None:
    engine = evaluator_of(metric)
    best.attach(engine)
    engine.run([0])


def test_weights_that_are_not_finite_are_never_the_best(tmp_path: Path) -> None:
    network = torch.nn.BatchNorm2d(2)  # holds floats, and an integer
    best = BestModel(str(tmp_path / "model.pt"), network)
    validate(best, 0.25)
    before = (tmp_path / "model.pt").read_bytes()
    torch.nn.init.constant_(network.bias, float("nan"))
    with pytest.raises(DivergedError, match=r"bias .*diverged.*learning_rate"):
        validate(best, 0.5)
    assert best.metric == 0.25
    assert (tmp_path / "model.pt").read_bytes() == before


def test_a_metric_of_nan_is_never_the_best(tmp_path: Path) -> None:
    best = BestModel(str(tmp_path / "model.pt"), torch.nn.Linear(1, 1))
    validate(best, float("nan"))
    assert not (tmp_path / "model.pt").exists()
    validate(best, 0.1)
    assert (tmp_path / "model.pt").exists()
