"""Crops are turned, scaled and bent as MONAI does it."""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pytest
import torch
from monai.transforms import Rand2DElasticd

from monai_app.transforms import Deformd

KEYS = ["image", "label"]
SETTINGS: dict[str, Any] = {
    "rotate_range": 0.15,
    "scale_range": [0.1, 0.2],
    "spacing": [32, 20],
    "magnitude_range": [0, 4.0],
    "mode": ["bilinear", "nearest"],
    "padding_mode": ["reflection", "zeros"],
}


def crop(rows: int, columns: int) -> dict[Hashable, Any]:
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(1, 4, (1, rows, columns), generator=generator, dtype=torch.uint8)
    return {"image": torch.rand((3, rows, columns), generator=generator), "label": label}


def generator_behind(wasted: int) -> np.random.RandomState:
    """A generator with what MONAI draws for nothing behind it, but for the last number."""
    generator = np.random.RandomState(5)
    generator.random(2)
    generator.normal(size=wasted)
    generator.random(3)
    return generator


@pytest.mark.parametrize("changed", [{}, {"spacing": [32.5, 17]}, {"magnitude_range": [9, 9], "rotate_range": 3.14}])
@pytest.mark.parametrize("shape", [(96, 64), (65, 80)])
def test_the_same_random_numbers_give_what_monai_gives(shape: tuple[int, int], changed: dict[str, Any]) -> None:
    settings, item = {**SETTINGS, **changed}, crop(*shape)
    monais: dict[Hashable, Any] = dict(
        Rand2DElasticd(KEYS, prob=1.0, **settings).set_random_state(state=np.random.RandomState(5))(item)
    )
    own = Deformd(KEYS, 1.0, **settings)
    own.set_random_state(state=generator_behind(2 * shape[0] * shape[1]))
    deformed = own(item)
    assert not torch.equal(deformed["image"], item["image"])
    torch.testing.assert_close(deformed["image"], monais["image"].as_tensor(), atol=1e-4, rtol=0)
    assert (deformed["label"] != monais["label"].as_tensor()).float().mean() < 2e-3  # between two pixels
    assert deformed["label"].dtype == torch.uint8


def test_others_stay_as_they_are() -> None:
    item, transform = crop(32, 32), Deformd(KEYS, 0.5, **SETTINGS)
    transform.set_random_state(0)
    deformed = [transform(item) for _ in range(100)]
    stayed = [each["image"] is item["image"] for each in deformed]
    assert 30 < sum(stayed) < 70
    assert stayed == [each["label"] is item["label"] for each in deformed]
