"""Tables of settings as the pages hold them."""

import json

from monai_app.domain.schemas import Setting


def markdown_rows(rows: list[Setting]) -> str:
    """A row of a page's table a setting: name, default, type and range, meaning."""
    return "\n".join(f"| `{row.name}` | {_default(row)} | {row.rule} | {row.text} |" for row in rows)


def _default(row: Setting) -> str:
    computed = isinstance(row.default, str) and row.default.startswith("$")
    return "" if row.default is None or computed else f"`{json.dumps(row.default)}`".replace('"', "")
