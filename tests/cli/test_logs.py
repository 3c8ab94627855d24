"""What commands log, where, and how much of it."""

import re
from pathlib import Path

import pytest

from monai_app.cli.logs import Verbosity
from monai_app.errors import ConfigError
from monai_app.stack import Stack
from tests.conftest import TINY, as_options, run_command

LOGGERS = """
import logging, monai.bundle
from monai.apps import get_logger
from monai_app.cli.logs import Verbosity
Verbosity.{name}.start()
for name in ("monai_app.training", "monai.bundle.scripts", "ignite.engine"):
    logging.getLogger(name).info("INFO of %s", name)
    logging.getLogger(name).warning("warning of %s", name)
get_logger("monai_app.validation").info("INFO of validation")  # as MONAI's StatsHandler takes it
"""


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("QUIET", set()),
        ("NORMAL", {"monai_app.training"}),
        ("VERBOSE", {"monai_app.training", "monai.bundle.scripts", "ignite.engine", "validation"}),
    ],
)
def test_what_is_logged_goes_to_standard_error(name: str, shown: set[str]) -> None:
    done = run_command("-c", LOGGERS.format(name=name))
    assert done.stdout == ""
    assert set(re.findall(r"INFO of (\S+)", done.stderr)) == shown
    assert done.stderr.count("warning of ") == 3


def test_quiet_and_verbose_contradict_each_other() -> None:
    with pytest.raises(ConfigError, match="--quiet and --verbose are both given"):
        Verbosity.of(quiet=True, verbose=True)


def test_a_training_logs_a_line_per_epoch(tiny_stack: Stack, tmp_path: Path) -> None:
    words = ["-m", "monai_app", "train", tiny_stack.path, tmp_path / "run", *as_options(TINY)]
    prepared = run_command(*words, "--prepare-only")
    assert "write --dry-run" in prepared.stderr
    assert prepared.stdout.startswith("$ python -m monai.bundle run ")
    done = run_command(*words)
    epochs = [line for line in done.stderr.splitlines() if "INFO epoch" in line]
    assert [re.findall(r"epoch (\d+)/2: loss ", line) for line in epochs] == [["1"], ["2"]]
    assert "Metrics" not in done.stderr + done.stdout
    assert done.stdout == f"weights: {tmp_path / 'run' / 'models' / 'model.pt'}\n"
    quiet = run_command(*words, "--overwrite", "--quiet")
    assert "INFO" not in quiet.stderr + quiet.stdout
