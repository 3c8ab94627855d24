import numpy as np
import pytest
import torch
from torch.nn import functional

from monai_app.training import PhaseLoss


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
    return cross_entropy + dice.mean()


def test_the_loss_is_dice_plus_cross_entropy_over_labelled_pixels() -> None:
    logits, annotation = random_case()
    assert PhaseLoss()(logits, annotation).item() == pytest.approx(reference(logits, annotation), rel=1e-5)


def test_unlabelled_pixels_have_no_gradient_and_no_influence() -> None:
    logits, annotation = random_case(1)
    PhaseLoss()(logits, annotation).backward()
    unlabelled = (annotation == 0).expand_as(logits)
    assert unlabelled.any()
    assert not logits.grad[unlabelled].any()
    assert logits.grad[~unlabelled].abs().min() > 0
    changed = torch.where(unlabelled, logits + 100 * torch.randn(logits.shape), logits)
    assert PhaseLoss()(changed, annotation).item() == pytest.approx(PhaseLoss()(logits, annotation).item(), rel=1e-5)


def test_nothing_labelled_gives_a_finite_loss_without_gradient() -> None:
    logits, annotation = random_case()
    loss = PhaseLoss()(logits, torch.zeros_like(annotation))
    loss.backward()
    assert torch.isfinite(loss)
    assert not logits.grad.any()


def test_the_right_answer_costs_nothing() -> None:
    _, annotation = random_case()
    truth = functional.one_hot((annotation[:, 0].long() - 1).clamp(min=0), 3).permute(0, 3, 1, 2)
    assert PhaseLoss()(truth * 50.0, annotation).item() == pytest.approx(0, abs=1e-4)
