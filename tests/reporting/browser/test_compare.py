import re
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from monai_app.pictures import ERROR_RGB, RIGHT_RGB
from monai_app.reporting.browser import ComparedSlice, compare_layers
from monai_app.reporting.browser.encoding import Window
from tests import browsing
from tests.reporting.browser.conftest import PHASES
from tests.reporting.browser.pages import Widget, write_page

SHAPE = (60, 80)
_RNG = np.random.default_rng(0)
TRUTH = _RNG.integers(0, 4, SHAPE, np.uint8)
PREDICTION = _RNG.integers(1, 4, SHAPE, np.uint8)
PREDICTION[:, :9] = 0
ICE = _RNG.integers(1000, 60_000, SHAPE, np.uint16)
TLD = _RNG.integers(0, 250, SHAPE, np.uint8)
COLOURS = np.array([(255, 255, 255), *(phase.rgb for phase in PHASES)], np.uint8)
LAYERS = {
    "ICE": np.repeat(Window.of([ICE]).apply(ICE)[..., None], 3, axis=2),
    "truth": COLOURS[TRUTH],
    "prediction": COLOURS[PREDICTION],
    "errors": np.array([(255, 255, 255), RIGHT_RGB, ERROR_RGB], np.uint8)[
        (TRUTH * PREDICTION > 0) * (1 + (TRUTH != PREDICTION))
    ],
}


@pytest.fixture(scope="module")
def opened(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page that compares two slices of different sizes."""
    slices = [
        ComparedSlice("first & <b>", {"ICE": ICE, "TLD": TLD}, TRUTH, PREDICTION, (10, 10, 10)),
        ComparedSlice("second", {"ICE": ICE[:30], "TLD": TLD[:30]}, TRUTH[:30], PREDICTION[:30], (10, 10, 10)),
    ]
    path = write_page(tmp_path_factory.mktemp("page") / "page.html", compare_layers(slices, PHASES, budget=10**6))
    with browsing.page(within=chromium) as page:
        page.goto(path.as_uri())
        yield page


@pytest.fixture
def widget(opened: Page) -> Widget:
    widget = Widget(opened, opened.locator(".slices-compare"))
    widget.find('[data-set="slice"]').select_option("first & <b>")
    widget.wait(0)
    return widget


def choose(widget: Widget, left: str, right: str, keys: str) -> None:
    """Choose two layers, and move the divider by keys."""
    widget.find('[data-set="left"]').select_option(left)
    widget.find('[data-set="right"]').select_option(right)
    for key in keys.split():
        widget.find(".slices-divider").press(key)


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer_is_drawn_exactly(widget: Widget, name: str) -> None:
    choose(widget, name, "TLD", "End")
    assert (widget.pixels(SHAPE) == LAYERS[name]).all()
    choose(widget, "TLD", name, "Home")
    assert (widget.pixels(SHAPE) == LAYERS[name]).all()


def test_the_divider_parts_two_layers_and_can_be_dragged(widget: Widget) -> None:
    choose(widget, "truth", "prediction", "End")
    divider, view = widget.find(".slices-divider").bounding_box(), widget.find(".slices-view").bounding_box()
    assert divider is not None
    assert view is not None
    mouse = widget.page.mouse
    mouse.move(view["x"] + view["width"] - 2, view["y"] + 9)
    mouse.down()
    mouse.move(view["x"] + view["width"] / 2, view["y"] + 50)
    mouse.up()
    assert widget.find(".slices-divider").get_attribute("aria-valuenow") == "50"
    pixels = widget.pixels(SHAPE)
    assert (pixels[:, :39] == LAYERS["truth"][:, :39]).all()
    assert (pixels[:, 41:] == LAYERS["prediction"][:, 41:]).all()


def test_the_line_says_phases_and_grey_values(widget: Widget) -> None:
    names = [phase.name for phase in PHASES]
    truths, predictions = ["unlabelled", *names], ["none", *names]
    low, high = Window.of([ICE]).low, Window.of([ICE]).high
    for row, column in ((0, 5), (31, 77), (44, 12)):
        text = widget.point(row, column, SHAPE)
        truth, predicted = int(TRUTH[row, column]), int(PREDICTION[row, column])
        wrong = " (wrong)" if truth * predicted and truth != predicted else ""
        assert text.startswith(
            f"Row {row}, column {column}: truth {truths[truth]}, prediction {predictions[predicted]}{wrong}; ICE ~ "
        )
        ice, tld = map(int, re.findall(r"(?:ICE ~|TLD) (\d+)", text))
        assert abs(ice - int(ICE[row, column])) <= (high - low) / 255
        assert abs(tld - int(TLD[row, column])) <= 1


def test_another_slice_has_its_own_size(widget: Widget) -> None:
    choose(widget, "errors", "ICE", "End")
    widget.find('[data-set="slice"]').select_option("second")
    widget.wait(1)
    assert (widget.pixels((30, 80)) == LAYERS["errors"][:30]).all()


def test_slices_are_thinned_until_they_fit() -> None:
    noise = np.random.default_rng(0).integers(0, 250, (400, 300), np.uint8)
    compared = ComparedSlice("noise", {"ICE": noise, "TLD": noise}, noise % 4, noise % 4, (10, 10, 10))
    sizes = {budget: len(compare_layers([compared], PHASES, budget=budget)) for budget in (10**6, 300_000)}
    assert 300_000 < sizes[10**6] < 10**6
    assert 100_000 < sizes[300_000] < 310_000
