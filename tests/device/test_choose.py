import pytest
import torch

from monai_app.device.choose import chosen_device
from monai_app.errors import ConfigError


@pytest.mark.parametrize(
    ("gpus", "name", "device"),
    [
        (0, "auto", "cpu"),
        (0, "cpu", "cpu"),
        (2, "auto", "cuda"),
        (2, "cpu", "cpu"),
        (2, "cuda", "cuda"),
        (2, "cuda:1", "cuda:1"),
    ],
)
def test_a_device_is_chosen_by_name(monkeypatch: pytest.MonkeyPatch, gpus: int, name: str, device: str) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert chosen_device(name) == torch.device(device)


@pytest.mark.parametrize(
    ("gpus", "name", "known"),
    [
        (0, "cuda", "auto, cpu$"),
        (2, "cuda:2", "auto, cpu, cuda, cuda:0, cuda:1$"),
        (2, "cuda:-1", "auto, cpu"),
        (0, "gpu", "auto, cpu"),
        (0, "", "auto, cpu"),
    ],
)
def test_what_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch, gpus: int, name: str, known: str) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(ConfigError, match=f"device '{name}' does not exist on this machine; choose one of {known}"):
        chosen_device(name)
