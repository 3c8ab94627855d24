"""Names from outside: safe display and safe file names."""

import logging
import re
from collections.abc import Iterable

from monai_app.errors import ConfigError

_UNSEEN = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_CONTROL = re.compile(f"[{_UNSEEN}]")
_IN_NAMES = re.compile(f"[\t\n{_UNSEEN}]")
"""Control characters, line ends, direction marks, and bytes that are not text."""

_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_LONGEST = 200
"""Maximum bytes of a file name without suffix; all file systems allow 255 in total."""

_LISTED = 12
"""Maximum names in a message."""


def printable(text: str) -> str:
    r"""Return a text for display, with control characters and direction marks escaped.

    Line feeds and tabs are kept, because messages contain them.

    Example:
        >>> printable("a\x1b[31mb")
        'a\\x1b[31mb'
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def is_printable(name: str) -> bool:
    """Whether a name can be displayed in a line unchanged."""
    return not _IN_NAMES.search(name)


def is_file_name(name: object) -> bool:
    """Whether a name is a valid file name on every system and cannot lead out of a folder."""
    if not isinstance(name, str) or not name or not is_printable(name) or len(name.encode()) > _LONGEST:
        return False
    return (
        name == name.lstrip(" ").rstrip(". ") and not re.search(r'[/\\<>:"|?*]', name) and not _RESERVED.fullmatch(name)
    )


def check_file_name(name: str, what: str) -> str:
    """Return a name if it is a valid file name, see `is_file_name`.

    Args:
        name: the name, without suffix or with one.
        what: what is named, for the error message.

    Raises:
        ConfigError: it could be a path or a device, or cannot be displayed.
    """
    if not is_file_name(name):
        raise ConfigError(
            f"{what} {name[:_LONGEST]!r} is not a file name that every system takes, such as slice_0001; rename it"
        )
    return name


def listed(names: Iterable[object]) -> str:
    """Return the first of many names or numbers, and the count of the others.

    Example:
        >>> listed(range(14))
        '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more'
    """
    texts = [str(name) for name in names]
    more = f" and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
    return ", ".join(texts[:_LISTED]) + more


class EscapingFormatter(logging.Formatter):
    """Escapes messages with `printable`, because they may contain untrusted names; further lines are indented."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """Return a record's line, its further lines indented."""
        return super().formatMessage(record).replace("\n", "\n  ")

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text."""
        return printable(super().format(record))
