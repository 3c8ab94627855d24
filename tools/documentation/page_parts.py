"""Markdown of generated pages."""

from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; lines and bars within a cell are kept from ending it."""
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in (columns, ["---"] * len(columns), *rows))


def page(title: str, *parts: str) -> str:
    """Return a page: its title and its parts, with empty lines between them."""
    return "\n\n".join((f"# {title}", *filter(None, parts))) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
