"""A real browser for the tests of pages: Chromium without a window."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, WebSocket, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LOCAL_SCHEMES = {"file", "data", "blob", "about", "chrome-error"}
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@cache
def chromium() -> str | None:
    """The path of Chromium or Chrome; None where there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """Give a browser that several pages may share; skips the test where there is none."""
    program = chromium()
    if program is None:
        pytest.skip("there is no Chromium; tools/install-screen installs it")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program)
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def page(*, width: int = 1280, height: int = 900, within: Browser | None = None) -> Iterator[Page]:
    """Give an empty page; at the end errors that it had and requests that left this machine fail the test.

    Args:
        width: of the page, in pixels.
        height: likewise.
        within: the browser that it is a page of, with cookies and storage of its own; None starts one.
    """
    if within is None:
        with browser() as own, page(width=width, height=height, within=own) as opened:
            yield opened
        return
    faults: list[str] = []
    context = within.new_context(viewport={"width": width, "height": height})
    opened = context.new_page()
    _watch(opened, faults)
    try:
        yield opened
    finally:
        context.close()
    assert not faults, "\n".join(faults)


def _watch(opened: Page, faults: list[str]) -> None:
    """Note errors of a page and requests that leave this machine."""

    def said(message: ConsoleMessage) -> None:
        if message.type == "error":
            faults.append(f"console: {message.text} ({message.location.get('url')})")

    def asked(request: Request | WebSocket) -> None:
        address = urlsplit(request.url)
        if address.scheme not in LOCAL_SCHEMES and address.hostname not in LOOPBACK:
            faults.append(f"request: {request.url}")

    opened.on("console", said)
    opened.on("pageerror", lambda error: faults.append(f"page: {error}"))
    opened.on("request", asked)
    opened.on("websocket", asked)
