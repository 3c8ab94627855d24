"""Log lines of MONAI and Ignite, which duplicate this package's one line per epoch."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

IGNITE = "ignite"
"""The logger of all Ignite engines."""

_OF_METRICS = ("monai_app.validation", "monai_app.evaluation")
"""Names of the loggers that the bundles' configs give to MONAI's metric handlers."""


def monai_loggers() -> list[str]:
    """Return the names of MONAI's loggers whose modules have been imported."""
    return [*_OF_METRICS, *(name for name in logging.root.manager.loggerDict if name.startswith("monai."))]


@contextmanager
def without_monai_lines() -> Iterator[None]:
    """Suppress log lines of MONAI, and those of Ignite below warnings, while the body runs."""
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
