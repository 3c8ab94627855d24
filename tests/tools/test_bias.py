"""The benchmark of a bias of every phase."""

import numpy as np
import pytest
import torch
from bias import fit, labelled

from monai_app.stack import Stack


def test_the_bias_and_scale_that_classes_were_drawn_with_are_found() -> None:
    torch.manual_seed(0)
    logits, bias = torch.randn(20_000, 3), torch.tensor([1.0, 0.0, -1.0])
    classes = torch.multinomial((2 * logits + bias).softmax(1), 1)[:, 0]
    found = fit(logits, classes)
    assert found.scale == pytest.approx(2, abs=0.1)
    torch.testing.assert_close(found.bias, bias, atol=0.1, rtol=0)
    torch.testing.assert_close(found.of(logits[:2]), logits[:2] * found.scale + found.bias)


def test_only_labelled_pixels_that_are_kept_are_fitted_on(tiny_stack: Stack) -> None:
    (z, *_) = tiny_stack.train_slices
    true = tiny_stack.read_annotation(z)
    kept = np.arange(true.size).reshape(true.shape) % 2 == 0
    logits = torch.arange(true.size).reshape(*true.shape, 1).float()
    pixels, classes = labelled(tiny_stack, {z: logits}, {z: kept})
    chosen = np.flatnonzero((true > 0) & kept)
    assert pixels[:, 0].tolist() == chosen.tolist()
    assert classes.tolist() == (true.ravel()[chosen] - 1).tolist()
