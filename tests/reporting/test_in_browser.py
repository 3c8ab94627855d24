"""The page in a real browser: nothing fails, nothing is loaded, figures are drawn, files come out as they went in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from monai_app.reporting.content import Files
from monai_app.reporting.page import write_page
from monai_app.reporting.sections.files import files
from monai_app.reporting.sources import Sources
from tests.browsing import browser, page


@pytest.fixture(scope="module")
def written(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(sources, path)
    return path


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


def test_the_page_answers_and_gives_its_files(written: Path, chromium: Browser, sources: Sources) -> None:
    with page(within=chromium) as opened:
        opened.goto(written.as_uri())
        plots = opened.locator(".plot")
        for number in range(plots.count()):
            plots.nth(number).scroll_into_view_if_needed()
            plots.nth(number).locator(".main-svg").first.wait_for(timeout=20_000)
        section = files(sources)
        assert section is not None
        (offered,) = (block for block in section.blocks if isinstance(block, Files))
        buttons = opened.locator("[data-download]")
        assert buttons.count() == len(offered.files)
        for number, (path, _) in enumerate(offered.files):
            with opened.expect_download() as download:
                buttons.nth(number).click()
            assert Path(download.value.path()).read_bytes() == path.read_bytes()
            assert download.value.suggested_filename == f"{path.parent.name}_{path.name}"
        opened.get_by_role("button", name="Copy").click()
        opened.get_by_role("button", name="Copied").wait_for()
        opened.get_by_role("link", name="Scores").click()
        opened.locator("nav a[aria-current]", has_text="Scores").wait_for()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_not_wider_than_the_window(written: Path, chromium: Browser, width: int) -> None:
    with page(width=width, within=chromium) as opened:
        opened.goto(written.as_uri())
        opened.evaluate("for (const plot of document.querySelectorAll('.plot')) draw(plot)")
        assert opened.evaluate("document.documentElement.scrollWidth") == width


def test_figures_that_nobody_saw_are_printed_in_the_width_of_the_paper(written: Path, chromium: Browser) -> None:
    with page(within=chromium) as opened:
        opened.goto(written.as_uri())
        opened.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        plots = opened.locator(".plot")
        opened.wait_for_function("[...document.querySelectorAll('.plot')].every((p) => p.querySelector('.main-svg'))")
        widths = [plots.nth(n).locator(".main-svg").first.bounding_box() for n in range(plots.count())]
        assert all(box is not None and box["width"] <= 660 for box in widths)
        opened.evaluate("window.dispatchEvent(new Event('afterprint'))")
        plots.first.locator(".main-svg").first.wait_for()
        box, frame = plots.first.locator(".main-svg").first.bounding_box(), plots.first.bounding_box()
        assert box is not None
        assert frame is not None
        assert box["width"] == frame["width"] > 660
        assert opened.pdf(prefer_css_page_size=True).count(b"/Type /Page\n") >= 4
