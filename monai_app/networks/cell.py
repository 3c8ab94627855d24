"""The part of a convolutional LSTM's step that is not a convolution, and its derivative.

Left to autograd, cutting the gates out of one tensor and putting their gradients together again is a good part of a
training step on a CPU. Here every map is made once, and the gradient of the whole is written once.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def update(
    gates: Tensor, cell: Tensor | None, hard: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Step to the next state.

    Args:
        gates: (B, 4 F, H, W), input and hidden state convolved: gates i, f, o and the candidate g, in this order.
        cell: (B, F, H, W), the cell state; None stands for zeros, as before the first step.
        hard: clamp the gates to 0..1 as they are; otherwise they go through a sigmoid.

    Returns:
        Hidden state, cell state, and what the derivative needs: gates i, f, o, candidate g, tanh of the cell state. All
        are (B, F, H, W).
    """
    i, f, o, g = gates.chunk(4, 1)
    i, f, o, g = activated(i, hard), activated(f, hard), activated(o, hard), torch.tanh(g)
    hidden, new, bounded = next_state(i, f, o, g, cell)
    return hidden, new, i, f, o, g, bounded


def next_state(i: Tensor, f: Tensor, o: Tensor, g: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return hidden state, cell state and its tanh, from gates i, f, o, candidate g and the cell state before.

    All are (B, F, H, W). Where there is no cell state, as before the first step, the forget gate f is not used.
    """
    new = i * g
    if cell is not None:
        new.addcmul_(f, cell)
    bounded = torch.tanh(new)
    return o * bounded, new, bounded


def activated(values: Tensor, hard: bool) -> Tensor:
    """Return gates from 0 to 1."""
    return values.clamp(0, 1) if hard else torch.sigmoid(values)


class DifferentiableUpdate(torch.autograd.Function):
    """:func:`update` with its derivative written out; ``apply`` returns hidden and cell state.

    Not for TorchScript and exporters, which take :func:`update` itself.
    """

    @staticmethod
    def forward(ctx: Any, gates: Tensor, cell: Tensor | None, hard: bool) -> tuple[Tensor, Tensor]:
        """See :func:`update`."""
        hidden, new, *rest = update(gates, cell, hard)
        ctx.save_for_backward(cell, *rest)
        ctx.set_materialize_grads(False)  # nothing follows the cell state of the last step
        ctx.hard, ctx.shape, ctx.layout = hard, gates.shape, layout(gates)
        return hidden, new

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_hidden: Tensor | None, d_new: Tensor | None) -> tuple[Tensor, Tensor | None, None]:
        """Return the gradients of gates and cell."""
        cell, i, f, o, g, bounded = ctx.saved_tensors
        if d_hidden is None:
            d_hidden = torch.zeros_like(o)
        d_cell = torch.ops.aten.tanh_backward(d_hidden * o, bounded)
        if d_new is not None:
            d_cell.add_(d_new)
        d_gates = torch.empty(ctx.shape, dtype=i.dtype, device=i.device, memory_format=ctx.layout)
        d_i, d_f, d_o, d_g = d_gates.chunk(4, 1)
        write_gate_gradient(d_cell * g, i, ctx.hard, d_i)
        write_gate_gradient(d_hidden * bounded, o, ctx.hard, d_o)
        torch.ops.aten.tanh_backward.grad_input(d_cell * i, g, grad_input=d_g)
        if cell is None:
            d_f.zero_()
        else:
            write_gate_gradient(d_cell * cell, f, ctx.hard, d_f)
        return d_gates, None if cell is None else d_cell.mul_(f), None


def write_gate_gradient(gradient: Tensor, gate: Tensor, hard: bool, out: Tensor) -> None:
    """Write the gradient before a gate's activation into ``out``, from the one behind it and the gate's value.

    A hard gate at exactly 0 or 1 counts as closed to gradients: its value does not tell whether it was clamped.
    """
    if hard:
        torch.ops.aten.hardtanh_backward.grad_input(gradient, gate, 0.0, 1.0, grad_input=out)
    else:
        torch.ops.aten.sigmoid_backward.grad_input(gradient, gate, grad_input=out)


def layout(images: Tensor) -> torch.memory_format:
    """Contiguous where the images (B, C, H, W) are, channels-last otherwise."""
    return torch.contiguous_format if images.is_contiguous() else torch.channels_last
