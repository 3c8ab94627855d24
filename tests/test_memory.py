"""Freed memory stays in the process: asking for it again costs no page faults."""

import platform

import pytest

from tests.conftest import run_command

FAULTS = """
import resource, sys
import numpy as np
from monai_app.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def step():
    return [np.ones(2**20, np.float64) for _ in range(20)]  # 8 MiB each
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep freed memory")
def test_a_second_step_finds_the_memory_of_the_first() -> None:
    given_back, kept = (int(run_command("-c", FAULTS, how).stdout) for how in ("given back", "kept"))
    assert kept < 0.1 * given_back
