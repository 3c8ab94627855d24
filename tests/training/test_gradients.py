"""Gradients are shortened on their way into the optimiser, and only where that is asked for."""

from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser

from monai_app.errors import ConfigError
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


@pytest.mark.parametrize("max_norm", [-1.0, float("nan")])
def test_a_norm_below_zero_is_refused(max_norm: float) -> None:
    with pytest.raises(ConfigError, match=f"max_gradient_norm {max_norm}: must be 0"):
        step(max_norm, 1.0)


class OnGpu(torch.nn.Parameter):
    is_cuda = True


def test_a_fused_optimiser_is_refused_on_a_gpu_alone() -> None:
    fused = torch.optim.AdamW([torch.zeros(1, requires_grad=True)], fused=True)
    clip_gradients(fused, 1.0)
    fused.param_groups[0]["params"] = [OnGpu(torch.zeros(1))]
    clip_gradients(fused, 0.0)
    with pytest.raises(ConfigError, match="fused optimiser"):
        clip_gradients(fused, 1.0)


def test_a_fused_optimiser_is_refused_where_the_loss_is_scaled() -> None:
    weight = torch.zeros(1, requires_grad=True)
    fused = torch.optim.AdamW([weight], fused=True)
    clip_gradients(fused, 1.0)
    weight.grad = torch.ones(1)
    fused.step()
    fused.grad_scale = torch.ones(1)  # type: ignore[attr-defined]  # as torch's scaler does
    with pytest.raises(ConfigError, match="fused optimiser"):
        fused.step()


@pytest.mark.parametrize(("amp", "fused"), [(False, True), (True, False)])
def test_the_bundles_optimiser_is_fused_without_loss_scaling_alone(amp: bool, fused: bool, trained: Path) -> None:
    parser = ConfigParser(ConfigParser.load_config_file(trained / "configs" / "train.yaml"))
    parser.update({"amp": amp, "device": "cpu"})
    parser.get_parsed_content("imports")
    assert parser.get_parsed_content("optimizer::fused") is fused


@pytest.mark.parametrize("max_norm", [0.0, 0.5])
def test_the_bundle_clips_before_its_optimiser_steps(max_norm: float, trained: Path) -> None:
    parser = ConfigParser(ConfigParser.load_config_file(trained / "configs" / "train.yaml"))
    parser["max_gradient_norm"] = max_norm
    parser.get_parsed_content("imports")
    (clipping,) = [n for n, line in enumerate(parser["initialize"]) if "clip_gradients" in line]
    parser.get_parsed_content(f"initialize::{clipping}")
    optimizer, network = (parser.get_parsed_content(name) for name in ("optimizer", "network"))
    for weight in network.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    norm = torch.stack([weight.grad.square().sum() for weight in network.parameters()]).sum().sqrt().item()
    if max_norm:
        assert norm == pytest.approx(max_norm, rel=1e-3)
    else:
        assert norm > 1
