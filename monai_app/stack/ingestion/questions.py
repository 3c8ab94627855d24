"""Open questions of a description, about information that is missing in the files."""

from pathlib import Path

from monai_app.errors import ConfigError

MARK = "# ?"
"""How the line of a question begins."""


def check_answered(path: Path) -> None:
    """Check that a description holds no question; whether it can be read at all is left to its reader.

    Raises:
        ConfigError: naming all open questions with their lines.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.stat().st_size < _LARGEST else []
    except (OSError, ValueError):
        return
    asked = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip().startswith(MARK)]
    if asked:
        shown = "\n".join(f"line {number}: {line.removeprefix(MARK).strip()}" for number, line in asked)
        raise ConfigError(f"{path} has open questions; answer each below its line, and remove the line:\n{shown}")


_LARGEST = 2**20
"""Bytes of a file that is looked at."""
