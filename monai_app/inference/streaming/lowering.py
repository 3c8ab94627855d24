"""From a network to the layers of row streaming: captured once, batch normalisation folded, activations fused."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from monai_app.inference.streaming.builder import Builder
from monai_app.inference.streaming.capture import NotStreamableError, capture
from monai_app.inference.streaming.operations import LOWERINGS
from monai_app.inference.streaming.rows import RowStream


def lower_to_row_stream(
    function: Callable[..., tuple[Tensor, ...]], inputs: int, channels: int, side: int
) -> RowStream:
    """Capture what a network does and turn it into layers.

    Args:
        function: a network of single slices, see :mod:`monai_app.networks.protocol`, in evaluation mode.
        inputs: number of slices that it takes.
        channels: channels of each.
        side: rows and columns to capture it at, a multiple of its stride.

    Raises:
        NotStreamableError: naming the operation.
    """
    weights = list(function.parameters()) if isinstance(function, nn.Module) else []
    like = weights[0] if weights else torch.zeros(())
    images = [like.new_zeros(1, channels, side, side) for _ in range(inputs)]
    # cuDNN has its own operations for those that ATen has on every device.
    with torch.backends.cudnn.flags(enabled=False):
        graph = capture(function, images)
    builder = Builder(graph)
    for node in graph.nodes:
        lowering = LOWERINGS.get(node.packet)
        if lowering is None or "out" in node.kwargs:  # into a tensor that exists already
            raise NotStreamableError(f"operation {node.name}")
        results = lowering(builder, node, *node.args, **node.kwargs)
        for value, maps in zip(node.results, results, strict=False):  # statistics and indices are not maps
            builder.define(value, maps)
    return builder.build()
