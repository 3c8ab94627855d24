"""The page of a notebook: its texts and its code."""

import json
from pathlib import Path


def notebook_page(path: Path) -> str:
    """Return a notebook as a page, with a link to the file below its first cell."""
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    first, *others = (_part(cell["cell_type"], "".join(cell["source"])) for cell in cells)
    return "\n\n".join((first, f"[Download the notebook]({path.name}).", *others)) + "\n"


def _part(kind: str, text: str) -> str:
    return text if kind == "markdown" else f"```python\n{text}\n```"
