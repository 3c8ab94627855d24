"""Gradients are shortened on their way into the optimiser, and only where that is asked for."""

from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser

from monai_app.stack import Stack
from monai_app.training import clip_gradients


def step(max_norm: float, *gradients: float) -> list[float]:
    """Make one plain step of rate 1 from zeros and return how far each weight went."""
    weights = [torch.zeros(1, requires_grad=True) for _ in gradients]
    optimizer = torch.optim.SGD(weights, lr=1.0)
    clip_gradients(optimizer, max_norm)
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = torch.tensor([gradient])
    optimizer.step()
    return [-weight.item() for weight in weights]


def test_long_gradients_are_shortened_together() -> None:
    assert step(1.0, 3.0, 4.0) == pytest.approx([0.6, 0.8], rel=1e-4)


def test_short_gradients_stay() -> None:
    assert step(6.0, 3.0, 4.0) == [3.0, 4.0]


def test_zero_leaves_all_as_they_are() -> None:
    assert step(0.0, 3000.0) == [3000.0]


@pytest.mark.parametrize("max_norm", [0.0, 0.5])
def test_the_bundle_clips_before_its_optimiser_steps(max_norm: float, trained: Path, tiny_stack: Stack) -> None:
    parser = ConfigParser(ConfigParser.load_config_file(trained / "configs" / "train.yaml"))
    parser.update({"bundle_root": str(trained), "dataset_dir": str(tiny_stack.path), "max_gradient_norm": max_norm})
    parser.get_parsed_content("imports")
    parser.get_parsed_content("initialize")
    optimizer, network = (parser.get_parsed_content(name) for name in ("optimizer", "network"))
    for weight in network.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    norm = torch.stack([weight.grad.square().sum() for weight in network.parameters()]).sum().sqrt().item()
    assert norm == pytest.approx(max_norm) if max_norm else norm > 1
