"""The step of a convolutional LSTM: its written-out derivative against numerical differences and autograd."""

import pytest
import torch
from torch.autograd import gradcheck

from monai_app.networks.cell import DifferentiableUpdate, update

LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}


def maps(channels: int, seed: int, layout: str, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    values = 2 * torch.randn((2, channels, 3, 4), generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return values.contiguous(memory_format=LAYOUTS[layout]).requires_grad_()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("first", [True, False], ids=["from zero", "from a state"])
@pytest.mark.parametrize("hard", [True, False])
def test_the_derivative_equals_numerical_differences(hard: bool, first: bool, layout: str) -> None:
    state = (None, None) if first else (maps(8, 1, layout), maps(2, 2, layout))
    assert gradcheck(DifferentiableUpdate.apply, (maps(8, 0, layout), *state, hard))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("hard", [True, False])
def test_the_derivative_equals_autograds_and_keeps_the_layout(hard: bool, layout: str) -> None:
    inputs = [maps(12, 0, layout, torch.float32), maps(12, 1, layout, torch.float32), maps(3, 2, layout, torch.float32)]
    gradients = []
    for step in (DifferentiableUpdate.apply, lambda *arguments: update(*arguments)[:2]):
        hidden, cell = step(*inputs, hard)
        gradients.append(torch.autograd.grad((hidden.sin() + cell.square()).sum(), inputs))
        assert hidden.is_contiguous(memory_format=LAYOUTS[layout])
    for own, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(own, expected)
        assert own.is_contiguous(memory_format=LAYOUTS[layout])
