import numpy as np
import pytest
import torch
from torch.nn import functional

from monai_app.errors import ConfigError
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
    return float(cross_entropy + dice.mean())


def test_the_loss_is_dice_plus_cross_entropy_over_labelled_pixels() -> None:
    logits, annotation = random_case()
    assert PhaseLoss()(logits, annotation).item() == pytest.approx(reference(logits, annotation), rel=1e-5)


def test_unlabelled_pixels_have_no_gradient_and_no_influence() -> None:
    logits, annotation = random_case(1)
    PhaseLoss()(logits, annotation).backward()
    unlabelled = (annotation == 0).expand_as(logits)
    assert unlabelled.any()
    assert logits.grad is not None
    assert not logits.grad[unlabelled].any()
    assert logits.grad[~unlabelled].abs().min() > 0
    changed = torch.where(unlabelled, logits + 100 * torch.randn(logits.shape), logits)
    assert PhaseLoss()(changed, annotation).item() == pytest.approx(PhaseLoss()(logits, annotation).item(), rel=1e-5)


def test_nothing_labelled_gives_a_finite_loss_without_gradient() -> None:
    logits, annotation = random_case()
    loss = PhaseLoss()(logits, torch.zeros_like(annotation))
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert not logits.grad.any()


def test_the_right_answer_costs_nothing() -> None:
    _, annotation = random_case()
    truth = functional.one_hot((annotation[:, 0].long() - 1).clamp(min=0), 3).permute(0, 3, 1, 2)
    assert PhaseLoss()(truth * 50.0, annotation).item() == pytest.approx(0, abs=1e-4)


def test_logits_of_every_slice_are_learned_slice_by_slice() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 3, 8, 9, generator=generator)  # (B, K, S, H, W)
    annotation = torch.randint(0, 5, (2, 3, 8, 9), generator=generator, dtype=torch.uint8)
    pairs = [(logits[b, :, s], annotation[b, s][None]) for b in range(2) for s in range(3)]
    by_hand = [torch.stack(parts) for parts in zip(*pairs, strict=True)]
    torch.testing.assert_close(PhaseLoss()(logits, annotation), PhaseLoss()(*by_hand))
    with pytest.raises(ConfigError, match="logits of 3 slices and annotations of 1"):
        PhaseLoss()(logits, annotation[:, :1])
