from typing import Any

import numpy as np
import pytest
import torch
from monai.losses import DiceCELoss, DiceFocalLoss, DiceLoss, FocalLoss, GeneralizedDiceLoss, TverskyLoss
from torch import nn
from torch.nn import functional

from monai_app.errors import ConfigError
from monai_app.training import LabelledPixels
from tests.training.loss import bundle_loss


def random_case(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, 8, 9, generator=generator, requires_grad=True)
    return logits, torch.randint(0, 4, (2, 1, 8, 9), generator=generator, dtype=torch.uint8)


def reference(logits: torch.Tensor, annotation: torch.Tensor) -> float:
    """Dice + cross-entropy over labelled pixels, one pixel at a time."""
    probability = torch.softmax(logits.detach().double(), 1).permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    truth = annotation.permute(0, 2, 3, 1).reshape(-1).numpy().astype(int) - 1
    probability, truth = probability[truth >= 0], truth[truth >= 0]
    cross_entropy = -np.mean(np.log(probability[np.arange(len(truth)), truth]))
    one_hot = np.eye(3)[truth]
    dice = 1 - (2 * (probability * one_hot).sum(0) + 1e-5) / ((probability + one_hot).sum(0) + 1e-5)
    return float(cross_entropy + dice.mean())


def test_the_loss_is_dice_plus_cross_entropy_over_labelled_pixels() -> None:
    logits, annotation = random_case()
    assert bundle_loss()(logits, annotation).item() == pytest.approx(reference(logits, annotation), rel=1e-5)


def test_unlabelled_pixels_have_no_gradient_and_no_influence() -> None:
    logits, annotation = random_case(1)
    bundle_loss()(logits, annotation).backward()
    unlabelled = (annotation == 0).expand_as(logits)
    assert unlabelled.any()
    assert logits.grad is not None
    assert not logits.grad[unlabelled].any()
    assert logits.grad[~unlabelled].abs().min() > 0
    changed = torch.where(unlabelled, logits + 100 * torch.randn(logits.shape), logits)
    assert bundle_loss()(changed, annotation).item() == pytest.approx(
        bundle_loss()(logits, annotation).item(), rel=1e-5
    )


def test_nothing_labelled_gives_a_finite_loss_without_gradient() -> None:
    logits, annotation = random_case()
    loss = bundle_loss()(logits, torch.zeros_like(annotation))
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert not logits.grad.any()


def test_the_right_answer_costs_nothing() -> None:
    _, annotation = random_case()
    truth = functional.one_hot((annotation[:, 0].long() - 1).clamp(min=0), 3).permute(0, 3, 1, 2)
    assert bundle_loss()(truth * 50.0, annotation).item() == pytest.approx(0, abs=1e-4)


def test_logits_of_every_slice_are_learned_slice_by_slice() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 3, 8, 9, generator=generator)  # (B, K, S, H, W)
    annotation = torch.randint(0, 5, (2, 3, 8, 9), generator=generator, dtype=torch.uint8)
    pairs = [(logits[b, :, s], annotation[b, s][None]) for b in range(2) for s in range(3)]
    by_hand = [torch.stack(parts) for parts in zip(*pairs, strict=True)]
    torch.testing.assert_close(bundle_loss()(logits, annotation), bundle_loss()(*by_hand))
    with pytest.raises(ConfigError, match="logits of 3 slices and annotations of 1"):
        bundle_loss()(logits, annotation[:, :1])


SOFTMAX: dict[str, Any] = {"softmax": True, "to_onehot_y": True}
TERMS = {
    "dice": DiceLoss(**SOFTMAX),
    "dice that ignores": DiceLoss(**SOFTMAX, ignore_index=-1),
    "generalised dice": GeneralizedDiceLoss(**SOFTMAX),
    "tversky": TverskyLoss(**SOFTMAX),
    "focal": FocalLoss(use_softmax=True, to_onehot_y=True),
    "dice and cross-entropy": DiceCELoss(**SOFTMAX),
    "dice and focal": DiceFocalLoss(**SOFTMAX),
    "cross-entropy": nn.CrossEntropyLoss(),
    "cross-entropy that ignores": nn.CrossEntropyLoss(ignore_index=-1),
}


@pytest.mark.parametrize("term", TERMS.values(), ids=TERMS)
def test_unlabelled_pixels_have_no_influence_on_any_term(term: nn.Module) -> None:
    loss = LabelledPixels([term])
    logits, annotation = random_case(2)
    unlabelled = (annotation == 0).expand_as(logits)
    changed = torch.where(unlabelled, logits + 100, logits).detach().requires_grad_()
    values = [loss(each, annotation) for each in (logits, changed)]
    assert values[0].item() == values[1].item()
    for value in values:
        value.backward()
    assert logits.grad is not None
    assert changed.grad is not None
    assert torch.equal(logits.grad, changed.grad)
    assert not logits.grad[unlabelled].any()
    assert logits.grad[~unlabelled].any()


def test_a_term_without_ignore_index_is_that_of_the_labelled_pixels_alone() -> None:
    logits, annotation = random_case(3)
    pixels = logits.permute(0, 2, 3, 1)[annotation[:, 0] > 0].T[None]
    target = annotation[:, 0][annotation[:, 0] > 0].long()[None, None] - 1
    term = GeneralizedDiceLoss(**SOFTMAX)
    torch.testing.assert_close(LabelledPixels([term])(logits, annotation), term(pixels, target))


def test_terms_are_weighted_one_by_one() -> None:
    logits, annotation = random_case(4)
    dice, entropy = DiceLoss(**SOFTMAX), nn.CrossEntropyLoss()
    both = LabelledPixels([dice, entropy], [0.25, 2.0])(logits, annotation)
    alone = [LabelledPixels([term])(logits, annotation) for term in (dice, entropy)]
    torch.testing.assert_close(both, 0.25 * alone[0] + 2.0 * alone[1])
    with pytest.raises(ConfigError, match="loss of 2 terms and 1 weights: give one weight per term"):
        LabelledPixels([dice, entropy], [1.0])
