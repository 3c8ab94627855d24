"""An inferer that processes complete slices in tiles with exactly the logits of the complete slice."""

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from monai.data import MetaTensor
from monai.engines import default_prepare_batch
from monai.inferers import Inferer
from torch import Tensor, nn
from torch.nn import functional

from monai_app.device.tuning import in_fastest_layout
from monai_app.domain.region import Region
from monai_app.errors import ConfigError
from monai_app.inference.tiling.cover import wanted_tiles
from monai_app.inference.tiling.plan import Plan, Tile
from monai_app.inference.tiling.receptive_field import Field, measure_field

# For all inferers, because MONAI Label makes one a request. A field does not depend on the weights, which may change.
_fields: WeakKeyDictionary[nn.Module, dict[int, Field]] = WeakKeyDictionary()


class ExactInferer(Inferer):
    """Apply a network to complete slices in tiles; the logits equal those of the complete slice up to rounding.

    It replaces MONAI's ``SlidingWindowInferer``, whose logits depend on the position of its windows. A tile is read
    with the halo that the network's measured receptive field asks for, and nothing is blended. A slice whose sides are
    no multiples of the stride is padded at its bottom and right by repeating the last pixel, see
    :mod:`monai_app.inference.tiling.plan`.

    Networks are measured in evaluation mode, once, and must not be rebuilt afterwards. In training mode, batch
    normalisation takes its statistics from every tile: call ``eval()`` on the network first, as evaluators do.

    Args:
        window: rows and columns that one forward pass writes, multiples of the stride; it reads the halo in addition.
        stride: the network's, in pixels: 2**(levels - 1).

    Raises:
        ConfigError: a window or a stride that breaks its rule.

    Example:
        >>> image = torch.rand(1, 6, 37, 50)
        >>> bool((ExactInferer(window=(32, 32), stride=16)(image, nn.Identity()) == image).all())
        True
    """

    def __init__(self, window: Sequence[int] = (512, 512), stride: int = 16) -> None:
        super().__init__()
        self.stride, self.window = stride, _checked_window(window, stride)

    def __call__(
        self,
        inputs: Tensor,
        network: Callable[..., Tensor],
        *args: Any,
        wanted: Tensor | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Return the logits of whole slices.

        Args:
            inputs: (B, S*C, H, W), H and W of any size. A ``MetaTensor`` gives one with the same metadata.
            network: a ``torch.nn.Module`` that takes images (B, S*C, h, w), h and w multiples of the stride, and gives
                logits (B, K, h, w).
            args: given to the network with every tile; its field is measured without them.
            wanted: (B, 1, H, W), where logits are needed; elsewhere they are NaN, unless they are made on the way. None
                stands for everywhere.
            kwargs: likewise.

        Returns:
            (B, K, H, W), of the type and on the device of the network's logits.

        Raises:
            ConfigError: images of other dimensions, or a network that tiles cannot serve, see
                :func:`monai_app.inference.tiling.receptive_field.measure_field`.
        """
        images = inputs.as_tensor() if isinstance(inputs, MetaTensor) else inputs
        plan = self._plan(images, network)
        tiles = plan.tiles if wanted is None else list(wanted_tiles(plan, _of_any(wanted))) or plan.tiles[:1]
        logits: Tensor | None = None
        for tile in tiles:
            part = network(_read(images, plan, tile), *args, **kwargs)
            if logits is None:
                logits = part.new_full((*part.shape[:-2], *images.shape[-2:]), torch.nan)
            logits[..., *tile.write.rect.index] = part[..., *tile.inner.index]
        assert logits is not None
        return described_as(inputs, logits)

    def _plan(self, images: Tensor, network: Callable[..., Tensor]) -> Plan:
        if images.ndim != 4 or 0 in images.shape:
            raise ConfigError(f"images {tuple(images.shape)}: must be (B, S*C, H, W), with a pixel at least")
        _, channels, rows, columns = images.shape
        field = _field(network, channels, self.stride, images.device.type)
        shape = (1, rows, columns)
        return Plan(shape, Region.whole(shape), self.stride, field.halo, self.window, 1, stripe=self.stride, slices=1)


def with_labelled_wanted(
    batch: dict[str, Tensor], device: torch.device, non_blocking: bool = False, **options: Any
) -> tuple[Tensor, Tensor, tuple[()], dict[str, Tensor]]:
    """Prepare a batch for an evaluator with an `ExactInferer` that is to compute the labelled pixels.

    The ``prepare_batch`` of MONAI's engines: image, label (B, 1, H, W), 0 unlabelled, and arguments of the inferer.
    """
    image, label = default_prepare_batch(batch, device, non_blocking, **options)
    assert label is not None
    return image, label, (), {"wanted": label > 0}


def described_as(inputs: Tensor, result: Tensor) -> Tensor:
    """Give a result the metadata of its inputs, where they are a ``MetaTensor``."""
    if not isinstance(inputs, MetaTensor):
        return result
    described: Tensor = MetaTensor(result).copy_meta_from(inputs)  # type: ignore[no-untyped-call]
    return described


def _of_any(wanted: Tensor) -> npt.NDArray[np.bool_]:
    """Return where any image of the batch is wanted, (rows, columns)."""
    return torch.as_tensor(wanted).any(0).any(0).cpu().numpy()


def _read(images: Tensor, plan: Plan, tile: Tile) -> Tensor:
    """Return what a tile reads, (B, S*C, h, w), padded where it lies beyond the slice."""
    part, (below, right) = images[..., *plan.stored(tile).index], plan.padding(tile)
    part = functional.pad(part, (0, right, 0, below), mode="replicate")
    return in_fastest_layout(part)


def _field(network: Callable[..., Tensor], channels: int, stride: int, device: str) -> Field:
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"network {network!r}: must be a torch.nn.Module, because its receptive field is measured once and kept; "
            "wrap a function into one"
        )
    known = _fields.setdefault(network, {})
    if stride not in known:
        # Convolutions in mixed precision may spread NaN, which the measuring works with, beyond the kernel.
        with torch.autocast(device, enabled=False):
            known[stride] = measure_field(network, channels, stride)
    return known[stride]


def _checked_window(window: Sequence[int], stride: int) -> tuple[int, int]:
    if type(stride) is not int or stride < 1:
        raise ConfigError(f"stride {stride!r}: must be an integer, 1 or more; give 2**(levels - 1)")
    sides = list(window) if isinstance(window, Sequence) else [window]
    numbers = [side for side in sides if type(side) is int]
    if len(sides) != 2 or numbers != sides or any(side < 1 or side % stride for side in sides):
        nearest = [max(-(-side // stride), 1) * stride for side in (2 * numbers or [512, 512])[:2]]
        raise ConfigError(
            f"window {window!r}: must be rows and columns, multiples of the network's stride {stride}; use, for "
            f"example, {nearest}"
        )
    rows, columns = sides
    return rows, columns
