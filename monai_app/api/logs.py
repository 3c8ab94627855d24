"""Logging, without the lines of MONAI and Ignite that duplicate this package's one line per epoch."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from monai_app.api.given import LogConfig, Stream
from monai_app.temporary import temporary_folder

_OF_METRICS = ("monai_app.validation", "monai_app.evaluation")
"""Names of the loggers that the bundles' configs give to MONAI's metric handlers."""

_CONFIG = """\
[loggers]
keys=root,ignite,engine,details,{keys}
[handlers]
keys=console,warnings
[formatters]
keys=plain
[logger_root]
level={level}
handlers=console
[logger_ignite]
level={ignite}
handlers=
qualname=ignite
[logger_engine]
level={engine}
handlers=
qualname={engine_name}
[logger_details]
level={details}
handlers=
qualname=monai_app
[handler_console]
class=StreamHandler
formatter=plain
args=(sys.{stream},)
[handler_warnings]
class=StreamHandler
level=WARNING
formatter=plain
args=(sys.{stream},)
[formatter_plain]
format=%(asctime)s %(levelname)s %(message)s
"""

_ENGINE = "ignite.engine.engine"
"""Name of the logger on which Ignite announces errors, which are reported where they are handled."""

# MONAI's loggers have their own handlers, which write to standard output, and do not propagate.
_OF_MONAI = """\
[logger_{name}]
level=INFO
handlers={handler}
propagate=0
qualname={name}
"""


def _monai_loggers() -> list[str]:
    """Return the names of MONAI's loggers whose modules have been imported."""
    return [*_OF_METRICS, *(name for name in logging.root.manager.loggerDict if name.startswith("monai."))]


def logging_config(level: int, stream: Stream, *, monai: bool) -> str:
    """Return a config file of Python's ``logging`` that logs to a stream.

    Args:
        level: ``logging.INFO`` or ``logging.WARNING``.
        stream: the stream.
        monai: whether lines of MONAI and Ignite below warnings are logged too.
    """
    names = _monai_loggers()
    config = _CONFIG.format(
        keys=",".join(names),
        level=logging.getLevelName(level),
        ignite="INFO" if monai else "WARNING",
        engine="INFO" if monai else "CRITICAL",
        engine_name=_ENGINE,
        details="DEBUG" if monai else "NOTSET",
        stream=stream,
    )
    handler = "console" if monai else "warnings"
    return config + "".join(_OF_MONAI.format(name=name, handler=handler) for name in names)


@contextmanager
def _written(config: str) -> Iterator[Path]:
    """Write a config to a temporary file for the body."""
    with temporary_folder("logging") as folder:
        path = folder / "logging.conf"
        path.write_text(config, encoding="utf8")
        yield path


@contextmanager
def logging_option(log_config: LogConfig | None, processes: int) -> Iterator[str | Literal[False]]:
    """Yield MONAI's option ``logging_file`` for a run in this many processes.

    Args:
        log_config: see `LogConfig`; None leaves logging as it is, without MONAI's and Ignite's own lines. New processes
            then log to standard error, at this process's level.
        processes: number of processes; 1 computes in this process.
    """
    import monai.bundle  # noqa: F401  its loggers exist from now on

    # The launcher redirects standard error of several processes to files, and shows their standard output on it.
    stream: Stream = "stderr" if processes == 1 else "stdout"
    if log_config is not None:
        with _written(log_config(stream)) as path:
            yield str(path)
        return
    with _without_monai_lines():
        if processes == 1:
            yield False
            return
        level = logging.INFO if logging.getLogger("monai_app").isEnabledFor(logging.INFO) else logging.WARNING
        with _written(logging_config(level, stream, monai=False)) as path:
            yield str(path)


@contextmanager
def _without_monai_lines() -> Iterator[None]:
    """Suppress log lines of MONAI and of Ignite's engines, and others of Ignite below warnings, in the body."""
    loggers = [logging.getLogger(name) for name in _monai_loggers()]
    ignite, engine = logging.getLogger("ignite"), logging.getLogger(_ENGINE)
    disabled, levels = [each.disabled for each in loggers], (ignite.level, engine.level)
    for each in loggers:
        each.disabled = True
    ignite.setLevel(logging.WARNING)
    engine.setLevel(logging.CRITICAL)  # inherited by the loggers of its classes, as `disabled` is not
    try:
        yield
    finally:
        ignite.setLevel(levels[0])
        engine.setLevel(levels[1])
        for each, before in zip(loggers, disabled, strict=True):
            each.disabled = before
