"""The running average of the weights."""

from types import SimpleNamespace
from typing import Any

import torch
from ignite.engine import Engine
from ignite.handlers import EMAHandler
from torch import nn

from monai_app.training import RunningAverage


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1))


def test_it_is_ignites() -> None:
    trained = network()
    own, expected = RunningAverage(trained, 0.1), EMAHandler(trained, 0.1, handle_buffers="update")
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.5)

    def step(_: Engine, batch: Any) -> None:
        optimizer.zero_grad()
        trained(batch).square().mean().backward()
        optimizer.step()

    engine = Engine(step)
    own.attach(engine)
    expected.attach(engine)
    engine.run([torch.randn(2, 1, 8, 8) for _ in range(4)])
    torch.testing.assert_close(own.network.state_dict(), expected.ema_model.state_dict())
    assert not torch.equal(own.network.get_parameter("0.weight"), trained.get_parameter("0.weight"))
    assert own.network.get_buffer("1.num_batches_tracked") == 4
    assert not own.network.training


def test_it_continues_from_loaded_weights() -> None:
    trained = network()
    average = RunningAverage(trained, 0.5)
    average.network.load_state_dict({name: values * 0 for name, values in trained.state_dict().items()})
    average(SimpleNamespace())  # type: ignore[arg-type]
    torch.testing.assert_close(average.network.get_parameter("2.bias"), trained.get_parameter("2.bias") / 2)
    assert not average.network.get_parameter("2.bias").requires_grad
