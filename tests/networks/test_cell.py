"""The step of a convolutional LSTM: its written-out derivative against numerical differences and autograd."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.autograd import gradcheck

from monai_app.networks.cell import DifferentiableUpdate, update

LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}


def maps(channels: int, seed: int, layout: str, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    values = 2 * torch.randn((2, channels, 3, 4), generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return values.contiguous(memory_format=LAYOUTS[layout]).requires_grad_()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("has_cell", [True, False], ids=["cell", "no cell"])
@pytest.mark.parametrize("hard", [True, False])
def test_the_derivative_equals_numerical_differences(hard: bool, has_cell: bool, layout: str) -> None:
    arguments: Any = (maps(8, 0, layout), maps(2, 2, layout) if has_cell else None, hard)
    assert gradcheck(DifferentiableUpdate.apply, arguments)


@pytest.mark.parametrize("used", [0, 1], ids=["hidden", "cell"])
def test_one_of_the_two_states_may_go_unused(used: int) -> None:
    inputs = [maps(8, 0, "contiguous"), maps(2, 2, "contiguous")]
    steps: tuple[Callable[..., Any], ...] = (DifferentiableUpdate.apply, update)
    own, expected = (torch.autograd.grad(step(*inputs, False)[used].sum(), inputs) for step in steps)
    torch.testing.assert_close(own, expected)


def test_a_hard_gate_at_its_ends_lets_no_gradient_through() -> None:
    term = torch.tensor([0.0, 0.5, 1.0, 0.5]).reshape(1, 4, 1, 1).requires_grad_()  # i at its lower end, o at its upper
    hidden, _ = DifferentiableUpdate.apply(term, torch.ones(1, 1, 1, 1), True)
    (gradient,) = torch.autograd.grad(hidden.sum(), term)
    assert gradient.flatten()[[0, 2]].tolist() == [0.0, 0.0]
    assert gradient.flatten()[1] > 0


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("hard", [True, False])
def test_the_derivative_equals_autograds_and_keeps_the_layout(hard: bool, layout: str) -> None:
    inputs = [maps(12, 0, layout, torch.float32), maps(3, 2, layout, torch.float32)]
    gradients = []
    for step in (DifferentiableUpdate.apply, lambda *arguments: update(*arguments)[:2]):
        hidden, cell = step(*inputs, hard)
        gradients.append(torch.autograd.grad((hidden.sin() + cell.square()).sum(), inputs))
        assert hidden.is_contiguous(memory_format=LAYOUTS[layout])
    for own, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(own, expected)
        assert own.is_contiguous(memory_format=LAYOUTS[layout])
