"""Run ``monai-app view`` as a process of its own."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import warm


@contextmanager
def viewing(*words: object, cwd: Path | None = None, **variables: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Give the address that ``monai-app view WORDS`` prints, and its process, which is killed at the end."""
    process = subprocess.Popen(
        [warm.python(), "-m", "monai_app", "view", *map(str, words)],
        cwd=cwd,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip().partition(": ")[2], process
    finally:
        process.kill()
        process.communicate()
