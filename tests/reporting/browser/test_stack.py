import io
import json
import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from monai_app.reporting.browser import stack_browser
from monai_app.reporting.browser.budget import spread
from monai_app.reporting.browser.encoding import Bytes, Window, thin_grey
from monai_app.stack import Stack, ingest
from tests import browsing
from tests.conftest import write_tiny_sample
from tests.reporting.browser.conftest import PHASES, UNSEGMENTED
from tests.reporting.browser.pages import Widget, write_page

SHAPE = (96, 80)
COLOURS = np.array([(0, 0, 0), *(phase.rgb for phase in PHASES)], np.uint8)


@pytest.fixture(scope="module")
def opened(
    segmented: Stack, deep: Stack, chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    """A page with both stacks; what a test does to it, the next one finds."""
    widgets = stack_browser(segmented, "found", budget=10**6), stack_browser(deep, None, budget=10**6)
    path = write_page(tmp_path_factory.mktemp("page") / "page.html", *widgets)
    with browsing.page(within=chromium) as page:
        page.goto(path.as_uri())
        yield page


@pytest.fixture
def tiny(opened: Page) -> Widget:
    """The browser of the segmented stack, as at the beginning."""
    widget = Widget(opened, opened.locator(".slices-stack").nth(0))
    widget.find("form").evaluate("form => form.reset()")
    widget.find('[name="detector"]').nth(0).dispatch_event("change")
    widget.drag("position", 3)
    widget.wait(3)
    return widget


@pytest.fixture
def single(opened: Page) -> Widget:
    return Widget(opened, opened.locator(".slices-stack").nth(1))


def expected_grey(stack: Stack, z: int, detector: str) -> Bytes:
    window = Window.of(stack.read_overview(each, [detector])[0] for each in spread(stack.shape[0], 16))
    return window.apply(stack.read_slab(z, [detector], 1)[0])


def check_grey(pixels: Bytes, stack: Stack, z: int, detector: str) -> None:
    """Pixels are grey and what the detector saw, within what a JPEG changes of noise."""
    assert (pixels == pixels[..., :1]).all()
    assert np.abs(pixels[..., 0].astype(int) - expected_grey(stack, z, detector)).mean() < 6


def test_the_slider_shows_each_slice_of_each_detector(tiny: Widget, segmented: Stack) -> None:
    tiny.find('[data-set="labels"]').uncheck()
    for z in (0, 5):
        tiny.drag("position", z)
        tiny.wait(z)
        check_grey(tiny.pixels(SHAPE), segmented, z, "ICE")
        assert tiny.find('[data-set="z"]').input_value() == str(z)
    tiny.find('[name="detector"]').nth(1).check()
    check_grey(tiny.pixels(SHAPE), segmented, 5, "TLD")
    with pytest.raises(AssertionError):  # the other detector is told from it
        check_grey(tiny.pixels(SHAPE), segmented, 5, "ICE")


def test_labels_are_exact_and_opacity_mixes_them_with_the_image(tiny: Widget, segmented: Stack) -> None:
    labels = segmented.read_labels("found", 3)
    tiny.drag("opacity", 100)
    opaque = tiny.pixels(SHAPE)
    assert (opaque[labels > 0] == COLOURS[labels[labels > 0]]).all()
    tiny.find('[data-set="labels"]').uncheck()
    grey = tiny.pixels(SHAPE)
    assert (opaque[labels == 0] == grey[labels == 0]).all()
    tiny.find('[data-set="labels"]').check()
    tiny.drag("opacity", 30)
    mixed = 0.7 * grey[labels > 0] + 0.3 * COLOURS[labels[labels > 0]]
    assert np.abs(tiny.pixels(SHAPE)[labels > 0] - mixed).max() < 3


def test_a_phase_can_be_left_out(tiny: Widget, segmented: Stack) -> None:
    labels = segmented.read_labels("found", 3)
    tiny.drag("opacity", 100)
    tiny.find('[data-phase="2"]').uncheck()
    pixels = tiny.pixels(SHAPE)
    assert (pixels[labels == 3] == COLOURS[3]).all()
    assert np.ptp(pixels[labels == 2].astype(int), axis=1).max() == 0  # grey
    assert tiny.find(".slices-phases").inner_text().split("\n")[2].strip() == PHASES[1].name


def test_unsure_places_are_marked(tiny: Widget) -> None:
    tiny.find('[data-set="labels"]').uncheck()
    before = tiny.pixels(SHAPE).astype(int)
    tiny.find('[data-set="unsure"]').check()
    changed = np.abs(tiny.pixels(SHAPE) - before).max(axis=2)
    assert changed[:, :38].max() < 16
    assert changed[4:, 42:].mean() > 60
    assert changed[:4].max() < 16  # not segmented


def test_keys_choose_slices_detectors_and_labels(tiny: Widget) -> None:
    for key, z in {
        "ArrowRight": 4,
        "End": 7,
        "PageDown": 0,
        "ArrowLeft": 0,
        "PageUp": 7,
        "Home": 0,
        "ArrowUp": 1,
    }.items():
        tiny.press(key)
        tiny.wait(z)
    tiny.press("d")
    assert tiny.find('[name="detector"]').nth(1).is_checked()
    tiny.press("o")
    assert not tiny.find('[data-set="labels"]').is_checked()
    assert "detector TLD" in str(tiny.find("canvas").get_attribute("aria-label"))
    tiny.find('[data-set="z"]').fill("99")  # beyond the last
    tiny.find('[data-set="z"]').press("Enter")
    tiny.wait(7)
    tiny.find('[data-do="previous"]').click()
    tiny.wait(6)
    tiny.find('[data-set="opacity"]').press("ArrowRight")  # is the slider's own
    assert tiny.root.get_attribute("data-drawn") == "6"


def test_the_line_says_what_lies_below_the_pointer(tiny: Widget, segmented: Stack) -> None:
    labels = segmented.read_labels("found", 3)
    for row, column in ((10, 20), (95, 79), (0, 0)):
        name = ["unlabelled", *(phase.name for phase in PHASES)][labels[row, column]]
        assert tiny.point(row, column, SHAPE) == f"Slice 3 (slice_3), ICE, row {row}, column {column}: {name}"
    tiny.drag("position", UNSEGMENTED)
    tiny.wait(UNSEGMENTED)
    assert tiny.find(".slices-hover").inner_text().endswith("row 0, column 0 (not segmented)")


def test_zoom_keeps_the_point_below_the_pointer_and_the_scale_bar_true(tiny: Widget) -> None:
    before = tiny.point(30, 60, SHAPE)
    bar = tiny.find(".slices-scale")
    nm_before = nm_per_pixel(tiny)
    assert nm_before == pytest.approx(
        80 * 10 / tiny.find(".slices-view").evaluate("view => view.clientWidth"), rel=0.01
    )
    tiny.find(".slices-view").evaluate("view => view.focus({ preventScroll: true })")
    text = bar.inner_text()
    tiny.page.mouse.wheel(0, -600)
    tiny.page.wait_for_function("([bar, text]) => bar.textContent !== text", arg=[bar.element_handle(), text])
    assert tiny.find(".slices-hover").inner_text() == before
    assert nm_per_pixel(tiny) == pytest.approx(nm_before / np.exp(1.2), rel=0.02)
    tiny.press("0")
    assert nm_per_pixel(tiny) == pytest.approx(nm_before)


def nm_per_pixel(widget: Widget) -> float:
    bar = widget.find(".slices-scale")
    return int(bar.inner_text().removesuffix(" nm")) / float(
        bar.evaluate("bar => getComputedStyle(bar).width.replace('px', '')")
    )


def test_a_drag_moves_the_picture(tiny: Widget) -> None:
    tiny.point(48, 40, SHAPE)
    for _ in range(4):
        tiny.press("+")
    box = tiny.find(".slices-view").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2 + 4, box["y"] + box["height"] / 2 + 4
    tiny.page.mouse.move(*middle)
    line = tiny.find(".slices-hover").inner_text()
    tiny.page.mouse.down()
    tiny.page.mouse.move(middle[0] + 90, middle[1] - 60)
    tiny.page.mouse.up()
    assert tiny.find(".slices-hover").inner_text() == line  # it came along
    tiny.page.mouse.move(*middle)
    row, column = map(int, re.findall(r"(?:row|column) (\d+)", tiny.find(".slices-hover").inner_text()))
    assert row > 48
    assert column < 40


def test_a_single_slice_without_labels_stays_and_is_drawn_to_scale(single: Widget, tiny: Widget, deep: Stack) -> None:
    single.wait(0)
    for key in ("End", "ArrowLeft", "o"):
        single.press(key)
    assert single.root.get_attribute("data-drawn") == "0"
    assert single.find(".slices-labels").count() == 0
    width, height = single.find(".slices-view").evaluate("view => [view.clientWidth, view.clientHeight]")
    assert height / width == pytest.approx(2 * 96 / 80, rel=0.01)
    assert tiny.root.get_attribute("data-drawn") == "3"  # the other widget is as it was
    tall = single.pixels((192, 80))
    assert (tall[::2] == tall[1::2]).all()
    check_grey(tall[::2], deep, 0, "ICE")


def test_long_names_fit_on_a_phone(tiny: Widget) -> None:
    tiny.page.set_viewport_size({"width": 320, "height": 700})
    assert tiny.page.evaluate("document.documentElement.scrollWidth") == 320
    tiny.page.set_viewport_size({"width": 1280, "height": 900})


def content(html: str) -> tuple[dict[str, list[int]], int]:
    """What the script of a widget is told of the stack, and how many slices there are."""
    about, *slices = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.DOTALL)
    return json.loads(about), len(slices)


def test_large_slices_are_thinned_from_a_level_that_has_all_pixels(tmp_path: Path) -> None:
    ingest(write_tiny_sample(tmp_path / "sample", rows=1200, columns=60), tmp_path / "large.ome.zarr")
    stack = Stack.open(tmp_path / "large.ome.zarr")
    for budget, side in ((900_000, 1024), (60_000, 320)):
        html = stack_browser(stack, None, budget=budget)
        _, first, *_ = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html, re.DOTALL)
        picture = np.asarray(Image.open(io.BytesIO(b64decode(json.loads(first)["grey"][0]))))
        assert max(picture.shape) == side
        wanted = thin_grey(expected_grey(stack, 0, "ICE"), (picture.shape[0], picture.shape[1]))
        assert np.corrcoef(picture.ravel(), wanted.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("budget", [400_000, 120_000, 30_000])
def test_a_page_stays_within_its_budget(segmented: Stack, budget: int) -> None:
    calls: list[tuple[int, int]] = []
    html = stack_browser(segmented, "found", budget=budget, progress=lambda *call: calls.append(call))
    assert len(html.encode()) <= budget
    about, slices = content(html)
    shown = about["slices"]
    assert slices == len(shown)
    assert calls[-1] == (slices, slices)
    step = shown[1] - shown[0] if len(shown) > 1 else 8
    assert shown == list(range(0, 8, step))
    assert (f"One slice in {step} is shown, {slices} of 8" in html) == (step > 1)


def test_two_fingers_zoom_and_one_says_what_it_touches(tiny: Widget) -> None:
    tiny.point(48, 40, SHAPE)
    before = nm_per_pixel(tiny)
    box = tiny.find(".slices-view").bounding_box()
    assert box is not None
    fingers = tiny.page.context.new_cdp_session(tiny.page)

    def touch(kind: str, *columns: float) -> None:
        places = [{"x": box["x"] + column / 80 * box["width"], "y": box["y"] + 200} for column in columns]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    touch("touchStart", 30, 50)
    touch("touchMove", 20, 60)
    touch("touchEnd")
    assert nm_per_pixel(tiny) == pytest.approx(before / 2, rel=0.1)
    tiny.find('[data-do="fit"]').click()
    touch("touchStart", 70.5)
    touch("touchEnd")
    assert ", column 70: " in tiny.find(".slices-hover").inner_text()
