"""The training loss: terms of any kind, over labelled pixels."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from monai_app.errors import ConfigError
from monai_app.transforms import IGNORED, class_indices


class LabelledPixels(nn.Module):
    """A weighted sum of losses over the labelled pixels; unlabelled ones have no influence and no gradient.

    A term with ``ignore_index`` -1 leaves unlabelled pixels out itself and gets the images as they are. Any other gets
    the labelled pixels of the whole batch in a row, as one image (1, K, N): what it computes per image it computes over
    the batch. So terms must judge each pixel by itself or by sums over pixels, and not by its neighbours.

    ``parts`` has the terms of the last batch by the names of their classes, numbered where two
    are of one class, not weighted.

    Args:
        terms: losses of logits and class indices: MONAI's with ``to_onehot_y``, and softmax where they have none, or
            ``torch.nn.CrossEntropyLoss``.
        weights: one a term; 1 each where left out.

    Raises:
        ConfigError: no term, or not one weight a term.
    """

    def __init__(self, terms: Sequence[nn.Module], weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.terms = nn.ModuleList(terms)
        self.weights = [1.0] * len(terms) if weights is None else list(weights)
        self.parts: dict[str, Tensor] = {}
        if not terms or len(self.weights) != len(terms):
            raise ConfigError(f"loss of {len(terms)} terms and {len(self.weights)} weights: give one weight per term")

    def forward(self, logits: Tensor, annotation: Tensor) -> Tensor:
        """Return the scalar loss.

        Args:
            logits: (B, K, H, W), or (B, K, S, H, W) from a network that is supervised on every slice of its slab.
            annotation: (B, 1, H, W) or (B, S, H, W), 0 unlabelled, 1..K the phases.

        Raises:
            ConfigError: logits of S slices and an annotation of another number of slices.
        """
        target = class_indices(torch.as_tensor(annotation))
        if logits.ndim == 5:  # slices become separate images
            if logits.shape[2] != target.shape[1]:
                raise ConfigError(
                    f"logits of {logits.shape[2]} slices and annotations of {target.shape[1]}: head 'all' needs "
                    "annotations of every slice of the slab; choose head 'final' or 'middle' if there is only one"
                )
            logits, target = logits.transpose(1, 2).flatten(0, 1), target.flatten(0, 1).unsqueeze(1)
        labelled = target[:, 0] != IGNORED
        self.parts = {}
        if not labelled.any():  # the mean of no pixel would be NaN
            return logits.sum() * 0
        images = [logits, target]
        row = [] if all(map(_ignores, self.terms)) else _in_a_row(logits, target, labelled)
        losses = [_loss(term, *(images if _ignores(term) else row)) for term in self.terms]
        names = [type(term).__name__ for term in self.terms]
        for number, (name, loss) in enumerate(zip(names, losses, strict=True), 1):
            self.parts[name if names.count(name) == 1 else f"{name} {number}"] = loss.detach()
        return torch.as_tensor(sum(weight * loss for weight, loss in zip(self.weights, losses, strict=True)))


def _in_a_row(logits: Tensor, target: Tensor, labelled: Tensor) -> list[Tensor]:
    return [logits.movedim(1, -1)[labelled].T[None], target[:, 0][labelled][None, None]]


def _ignores(term: nn.Module) -> bool:
    return getattr(term, "ignore_index", None) == IGNORED


def _loss(term: nn.Module, logits: Tensor, target: Tensor) -> Tensor:
    """Compute a term; torch's own takes class indices without a channel."""
    loss: Tensor = term(logits, target[:, 0] if isinstance(term, nn.CrossEntropyLoss) else target)
    return loss
