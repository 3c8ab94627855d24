"""The part of a convolutional LSTM's step that is no convolution, and its derivative.

Left to autograd it takes half of a training step on a CPU: four gates cut out of one tensor are strided, and each of
their gradients is written into a tensor of zeros of the whole's size before they are added. Here every map is its own,
changed in place, and the gradient of the whole is written once.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def update(
    term: Tensor, recurrent: Tensor | None, cell: Tensor | None, hard: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Step to the next state.

    Args:
        term: (B, 4 F, H, W), the convolved input of the gates i, f, o and the candidate g, in this order.
        recurrent: the same of the hidden state; None from the zero state.
        cell: (B, F, H, W), the cell state; None from the zero state.
        hard: clamp the gates to 0..1 as they are; otherwise they go through a sigmoid.

    Returns:
        Hidden state, cell state, and what the derivative needs: gates i, f, o, candidate g, tanh of the cell state. All
        are (B, F, H, W).
    """
    i, f, o, g = term.chunk(4, 1)
    if recurrent is None:
        i, f, o, g = gate(i, hard), gate(f, hard), gate(o, hard), torch.tanh(g)
    else:
        own_i, own_f, own_o, own_g = recurrent.chunk(4, 1)
        i, f, o, g = gate_(i + own_i, hard), gate_(f + own_f, hard), gate_(o + own_o, hard), (g + own_g).tanh_()
    new = i * g
    if cell is not None:
        new.addcmul_(f, cell)
    bounded = torch.tanh(new)
    return o * bounded, new, i, f, o, g, bounded


def gate(values: Tensor, hard: bool) -> Tensor:
    """Return gates from 0 to 1."""
    return values.clamp(0, 1) if hard else torch.sigmoid(values)


def gate_(values: Tensor, hard: bool) -> Tensor:
    """Make values gates from 0 to 1, in place."""
    return values.clamp_(0, 1) if hard else values.sigmoid_()


class DifferentiableUpdate(torch.autograd.Function):
    """:func:`update` with its derivative written out; ``apply`` returns hidden and cell state.

    Not for TorchScript and exporters, which take :func:`update` itself.
    """

    @staticmethod
    def forward(
        ctx: Any, term: Tensor, recurrent: Tensor | None, cell: Tensor | None, hard: bool
    ) -> tuple[Tensor, Tensor]:
        """See :func:`update`."""
        hidden, new, *rest = update(term, recurrent, cell, hard)
        ctx.save_for_backward(cell, *rest)
        ctx.hard = hard
        ctx.layout = layout(term)
        return hidden, new

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_hidden: Tensor, d_new: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        """Return the gradients of term, recurrent (the same) and cell."""
        cell, i, f, o, g, bounded = ctx.saved_tensors
        batch, channels, height, width = i.shape
        shape = (batch, 4 * channels, height, width)
        d_term = torch.empty(shape, dtype=i.dtype, device=i.device, memory_format=ctx.layout)
        d_i, d_f, d_o, d_g = d_term.chunk(4, 1)
        d_cell = torch.ops.aten.tanh_backward(d_hidden * o, bounded).add_(d_new)
        gate_gradient(d_cell * g, i, ctx.hard, d_i)
        gate_gradient(d_hidden * bounded, o, ctx.hard, d_o)
        torch.ops.aten.tanh_backward.grad_input(d_cell * i, g, grad_input=d_g)
        if cell is None:
            d_f.zero_()
            return d_term, None, None, None
        gate_gradient(d_cell * cell, f, ctx.hard, d_f)
        return d_term, d_term, d_cell.mul_(f), None


def gate_gradient(gradient: Tensor, gate: Tensor, hard: bool, out: Tensor) -> None:
    """Write the gradient before a gate's activation into ``out``, from the one behind it and the gate's value."""
    if hard:
        torch.ops.aten.hardtanh_backward.grad_input(gradient, gate, 0.0, 1.0, grad_input=out)
    else:
        torch.ops.aten.sigmoid_backward.grad_input(gradient, gate, grad_input=out)


def layout(images: Tensor) -> torch.memory_format:
    """Channels-last or contiguous, whichever the images (B, C, H, W) are in."""
    return torch.contiguous_format if images.is_contiguous() else torch.channels_last
