"""Tables and pictures as HTML, which notebooks show."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

LONGEST_SIDE = 512
"""Larger pictures are drawn from every n-th pixel."""


def html_table(rows: Sequence[Sequence[str]], titles: Sequence[str] = (), caption: str = "") -> str:
    """Return a table; all text is escaped.

    Args:
        rows: of cells.
        titles: of the columns.
        caption: stands above the table.
    """
    lines = ["<table>"]
    if caption:
        lines.append(f"<caption>{escape(caption)}</caption>")
    if titles:
        lines.append(f"<tr>{''.join(f'<th>{escape(title)}</th>' for title in titles)}</tr>")
    lines += [f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows]
    return "\n".join([*lines, "</table>"])


def html_picture(pixels: npt.NDArray[np.uint8], title: str) -> str:
    """Return a picture, thinned to `LONGEST_SIDE`, below its title.

    Args:
        pixels: (rows, columns) grey or (rows, columns, 3) RGB.
        title: is escaped.
    """
    step = -(-max(pixels.shape[:2]) // LONGEST_SIDE)
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[::step, ::step])).save(file, "PNG")
    data = b64encode(file.getvalue()).decode("ascii")
    text = escape(title)
    return (
        f'<figure style="display:inline-block"><figcaption>{text}</figcaption>'
        f'<img alt="{text}" src="data:image/png;base64,{data}"></figure>'
    )


def stretched(grey: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """Stretch grey values (rows, columns) from their 0.5th to their 99.5th percentile."""
    low, high = np.percentile(grey, (0.5, 99.5))
    return np.asarray(np.clip((grey - low) / max(high - low, 1e-9), 0, 1) * 255, np.uint8)
