"""Memory of devices: what can be had of it, and a message where it is full."""

import os
from types import SimpleNamespace

import pytest
import torch

from monai_app.device.memory import enough_memory, free_bytes, held_bytes, peak_bytes
from monai_app.errors import ConfigError


def test_what_the_host_has_is_asked_of_the_system() -> None:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 2**20 < held_bytes() < total
    assert 2**20 < free_bytes(torch.device("cpu")) <= total


def test_the_peak_stays_when_memory_is_freed() -> None:
    before, size = held_bytes(), peak_bytes()
    assert len(bytearray(size)) == size
    assert held_bytes() < before + size <= peak_bytes() + 2**20 * 64


def test_on_cuda_what_torch_keeps_unused_is_free_too(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(
        mem_get_info=lambda device: (2 * 2**30, 8 * 2**30),
        memory_reserved=lambda device: 2**30,
        memory_allocated=lambda device: 2**28,
    )
    monkeypatch.setattr(torch, "cuda", fake)
    assert free_bytes(torch.device("cuda")) == 2 * 2**30 + 2**30 - 2**28


def test_full_memory_is_a_message_with_a_remedy_and_other_errors_stay() -> None:
    cuda = torch.device("cuda:1")
    for error in (
        torch.OutOfMemoryError("CUDA out of memory. Tried"),
        RuntimeError("CUDA error: out of memory\nx"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ):
        with pytest.raises(ConfigError, match=r"memory of cuda:1 is full \(CUDA .*\); .* smaller tile \(--tile"):  # noqa: SIM117
            with enough_memory(cuda):
                raise error
    with pytest.raises(RuntimeError, match="a bug"), enough_memory(cuda):
        raise RuntimeError("a bug")
