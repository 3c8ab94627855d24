"""Pages that hold widgets and nothing else, and what is drawn in them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup
from playwright.sync_api import Locator, Page, Position

from monai_app.reporting.browser import ASSETS
from monai_app.reporting.browser.encoding import Bytes

POLICY = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

_READ = """(canvas, [rows, columns]) => {
    const [left, top] = [canvas.width - columns, canvas.height - rows].map(room => Math.floor(room / 2 + 0.5));
    const read = (...part) => canvas.getContext("2d").getImageData(...part).data;
    const count = (found, value, place) => found + (place % 4 === 3 && value > 0);
    const drawn = read(0, 0, canvas.width, canvas.height).reduce(count, 0);
    return [drawn, Array.from(read(left, top, columns, rows), value => String.fromCharCode(value)).join("")];
}"""


def write_page(path: Path, *widgets: Markup) -> Path:
    """Write a page with widgets, which may load nothing."""
    path.write_text(
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>test</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<style>{ASSETS.css}</style><script>{ASSETS.js}</script></head><body>{''.join(widgets)}</body></html>",
        encoding="utf8",
    )
    return path


@dataclass
class Widget:
    """One widget of a page."""

    page: Page
    root: Locator

    def find(self, selector: str) -> Locator:
        return self.root.locator(selector)

    def wait(self, drawn: int) -> None:
        """Wait until a slice is drawn."""
        self.page.wait_for_function(
            "([root, drawn]) => root.dataset.drawn === drawn", arg=[self.root.element_handle(), str(drawn)]
        )

    def drag(self, name: str, value: int) -> None:
        """Set a slider, as dragging it does."""
        self.find(f'[data-set="{name}"]').evaluate(
            "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", value
        )

    def press(self, key: str) -> None:
        self.find(".slices-view").press(key)

    def pixels(self, shape: tuple[int, int]) -> Bytes:
        """The picture, of a shape (rows, columns), as it is drawn pixel for pixel: (rows, columns, 3)."""
        self.find('[data-do="whole"]').click()
        drawn, values = self.find("canvas").evaluate(_READ, shape)
        assert drawn == shape[0] * shape[1]  # nothing is drawn beside it
        return np.frombuffer(values.encode("latin-1"), np.uint8).reshape(*shape, 4)[..., :3]

    def point(self, row: float, column: float, shape: tuple[int, int]) -> str:
        """Point to a pixel of the picture, which is drawn as large as there is room, and read the line below it."""
        self.find('[data-do="fit"]').click()
        view = self.find(".slices-view")
        box = view.bounding_box()
        assert box is not None
        place = Position(x=(column + 0.5) / shape[1] * box["width"], y=(row + 0.5) / shape[0] * box["height"])
        view.hover(position=place, force=True)
        return self.find(".slices-hover").inner_text()
