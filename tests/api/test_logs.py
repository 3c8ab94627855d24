"""What Python functions log."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from ignite.engine import Engine

from monai_app.api.logs import logging_option

CHILD = """if True:
    import logging, logging.config, sys
    logging.config.fileConfig(sys.argv[1], disable_existing_loggers=False)
    for name in ("monai_app.training", "ignite.engine", "monai.bundle.scripts"):
        logging.getLogger(name).info("line of %s", name)
        logging.getLogger(name).warning("warning of %s", name)
"""


@pytest.mark.parametrize(("level", "lines"), [("INFO", 1), ("WARNING", 0)])
def test_several_processes_log_at_the_level_of_the_caller(
    level: str, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(level, "monai_app"), logging_option(None, 2) as config:
        told = subprocess.run(
            [sys.executable, "-c", CHILD, str(config)], capture_output=True, text=True, check=True
        ).stdout
    assert told.count("INFO line of monai_app.training") == told.count("INFO") == lines
    assert told.count("WARNING warning of ") == 3
    assert not logging.getLogger("monai.bundle.scripts").disabled


def test_one_process_logs_as_its_caller_does() -> None:
    with logging_option(None, 1) as option:
        assert option is False
    for processes, stream in ((1, "stderr"), (2, "stdout")):
        with logging_option(lambda stream: f"to {stream}", processes) as option:
            assert Path(str(option)).read_text() == f"to {stream}"


def test_errors_of_engines_are_raised_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with logging_option(None, 1), pytest.raises(ZeroDivisionError):
        Engine(lambda *_: 1 / 0).run([0])
    assert caplog.messages == []
