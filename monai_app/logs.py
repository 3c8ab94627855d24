"""MONAI's and Ignite's own lines in the log, which say what this package logs in one line per epoch."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

IGNITE = "ignite"
"""The logger of all Ignite engines."""

_OF_METRICS = ("monai_app.validation", "monai_app.evaluation")
"""The loggers that MONAI's handlers of metrics are given in the bundles' configs."""


def monai_loggers() -> list[str]:
    """Return the names of the loggers that MONAI writes to, as far as its modules are imported."""
    return [*_OF_METRICS, *(name for name in logging.root.manager.loggerDict if name.startswith("monai."))]


@contextmanager
def without_monai_lines() -> Iterator[None]:
    """Keep lines of MONAI, and of Ignite below a warning, out of the log while the body runs."""
    import monai.bundle  # noqa: F401  its loggers exist from now on

    loggers, ignite = [logging.getLogger(name) for name in monai_loggers()], logging.getLogger(IGNITE)
    disabled, level = [each.disabled for each in loggers], ignite.level
    for each in loggers:
        each.disabled = True
    ignite.setLevel(logging.WARNING)
    try:
        yield
    finally:
        ignite.setLevel(level)
        for each, before in zip(loggers, disabled, strict=True):
            each.disabled = before
