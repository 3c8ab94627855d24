"""Training and evaluation in several processes, one per GPU: initialisation, and splitting batches.

Everything here also works in a single process.
"""

import logging
import os
from dataclasses import dataclass
from typing import Any

import torch
from ignite.distributed import get_rank
from torch import distributed, nn
from torch.distributed import FileStore  # type: ignore[attr-defined]
from torch.nn.parallel import DistributedDataParallel

from monai_app.errors import ConfigError
from monai_app.progress import counted

RENDEZVOUS = "MONAI_APP_RENDEZVOUS"
"""Environment variable with the file for the rendezvous of processes started by `launch`; ``torchrun`` has its own."""


@dataclass(frozen=True)
class Group:
    """A group of processes, as seen by one of them.

    Attributes:
        rank: number of this process, 0 to ``size`` - 1; rank 0 writes the files.
        size: number of processes on all machines.
        device: what this process computes on.
    """

    rank: int
    size: int
    device: torch.device


def join_processes() -> Group:
    """Join the processes that `launch` or ``torchrun`` started: NCCL between GPUs, Gloo between processes on CPUs.

    Processes on CPUs share the machine's cores. Ranks above 0 log warnings only.

    Raises:
        ConfigError: the process was not started by ``torchrun``, or the machine has fewer GPUs than processes.
    """
    if "LOCAL_RANK" not in os.environ:
        raise ConfigError(
            "configs/multi_gpu_*.yaml are for processes started by torchrun: run `torchrun --nproc_per_node=2 -m "
            "monai.bundle run ...`, or leave them out for one process"
        )
    here, local = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    device = _device(here, local)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", **_meeting_point())
    if device.type == "cuda":
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // local))
    if get_rank() > 0:
        logging.getLogger().setLevel(logging.WARNING)
    return Group(get_rank(), distributed.get_world_size(), device)


def leave_processes() -> None:
    """Wait for all processes, so that no result is incomplete when the first one ends, and leave the group."""
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()


def share_of(batch_size: int, processes: int) -> int:
    """Return a process's share of a batch.

    Raises:
        ConfigError: the batch cannot be divided into equal shares.
    """
    if batch_size % processes:
        near = max(batch_size // processes, 1) * processes
        raise ConfigError(
            f"batch_size {batch_size} and {processes} processes: the processes share each batch equally, so it must "
            f"be a multiple of their number; set, for example, batch_size={near}"
        )
    return batch_size // processes


def distribute(network: nn.Module) -> nn.Module:
    """Wrap a network so that its gradients are averaged over all processes.

    Args:
        network: on its device; it stays what is saved and averaged, under its own names.
    """
    # The same weights get gradients in every step; of one slice, Sensor-3D's recurrent kernels get none.
    return DistributedDataParallel(network, static_graph=True)


def _meeting_point() -> dict[str, Any]:
    file = os.environ.get(RENDEZVOUS)
    if file is None:
        return {}
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    return {"store": FileStore(file, size), "rank": rank, "world_size": size}


def _device(local_rank: int, processes: int) -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    gpus = torch.cuda.device_count()
    if processes > gpus:
        raise ConfigError(
            f"{processes} processes and {counted(gpus, 'GPU')} on this machine: start at most one process per GPU"
        )
    return torch.device("cuda", local_rank)
