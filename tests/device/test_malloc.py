"""Freed memory stays in the process of a training: asking for it again costs no page faults."""

import platform

import pytest

from monai_app.bundle.configs.templates import template_path
from tests.conftest import run_command

FAULTS = """
import resource, sys
import numpy as np
from monai.bundle import ConfigParser
if sys.argv[1:]:
    parser = ConfigParser(ConfigParser.load_config_file(sys.argv[1]))
    parser.get_parsed_content("imports")
    assert parser.get_parsed_content("initialize::0")
def step():
    return [np.ones(2**20, np.float64) for _ in range(20)]  # 8 MiB each
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep freed memory")
def test_a_second_step_of_a_training_finds_the_memory_of_the_first() -> None:
    config = template_path("fibsem_sensor3d_segmentation") / "configs" / "train.yaml"
    given_back, kept = (int(run_command("-c", FAULTS, *words).stdout) for words in ([], [config]))
    assert kept < 0.1 * given_back
