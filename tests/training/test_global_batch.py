"""A batch whose parts lie in two processes gives the gradients of the whole batch."""

import re

import pytest
import torch
from torch import nn

from monai_app.training import SharedBatchNorm2d, share_norms
from tests.conftest import CHECKOUT, run_command


@pytest.fixture(scope="module")
def distances() -> dict[str, dict[str, float]]:
    """How far two processes are from one, per network: as they are, with the loss of parts, with norms of parts."""
    shown = run_command("-m", "tests.training.ranks", "nothing", "loss", "norms", cwd=CHECKOUT).stdout
    found = re.findall(r"^(\w+) left out, ([\w ]+): (\S+)$", shown, re.MULTILINE)
    return {left: {name: float(far) for each, name, far in found if each == left} for left, _, _ in found}


def test_loss_gradients_and_statistics_are_those_of_the_whole_batch(distances: dict[str, dict[str, float]]) -> None:
    """In double precision: what is left is rounding."""
    assert list(distances["nothing"]) == ["unet", "sensor3d", "sensor3d plain", "sensor3d of a slice"]
    assert max(distances["nothing"].values()) < 1e-13


def test_the_whole_batch_matters(distances: dict[str, dict[str, float]]) -> None:
    """The test above would see a loss or a normalisation of the parts."""
    assert min(distances["loss"].values()) > 1e-4
    assert min(distances["norms"][name] for name in ("unet", "sensor3d")) > 1e-4


def test_shared_norms_have_the_weights_of_plain_ones_and_are_them_in_one_process() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
    images = torch.randn(2, 2, 4, 4)
    before, names = plain(images), list(plain.state_dict())
    shared = share_norms(plain, torch.device("cpu"))
    assert type(dict(shared.named_children())["1"]) is SharedBatchNorm2d
    assert list(shared.state_dict()) == names
    assert torch.equal(shared(images), before)
