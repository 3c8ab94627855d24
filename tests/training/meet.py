"""What the processes of test_launch.py do: join each other, and tell where they and their launcher listen."""

import sys
from pathlib import Path

import psutil
import torch
from torch import distributed

from monai_app.training.processes import join_processes, leave_processes


def main(folder: Path, launcher: int) -> None:
    """Write a file with the addresses of the launcher and of this process."""
    group = join_processes()
    total = torch.ones(1)
    distributed.all_reduce(total)
    listening = [_addresses(psutil.Process(pid)) for pid in (launcher, None)]
    (folder / f"rank{group.rank}").write_text(f"{total.item():.0f} {listening}")
    leave_processes()


def _addresses(process: psutil.Process) -> list[str]:
    return sorted({each.laddr.ip for each in process.net_connections() if each.status == psutil.CONN_LISTEN})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
