"""A stack in a real browser, and what its server refuses."""

import http.client
import importlib.util
import os
import re
import signal
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from playwright.sync_api import Page

from monai_app.cli.stack.view import view
from monai_app.errors import ConfigError, StackError
from monai_app.stack import Stack, snapshot
from monai_app.viewer.content import grey_windows
from monai_app.viewer.server import served
from tests.browsing import page
from tests.label.servers import wait_for
from tests.viewer.conftest import COLUMNS, ROWS, SLICES
from tests.viewer.viewing import viewing

PLACES = [(y, x) for y in (5, 50) for x in (75, 225, 375, 525)]
"""Row and column of a place in every part of a slice, far from borders."""

COLOURS = np.array([[0, 0, 0], [0x20, 0x30, 0x4F], [0xC0, 0xB0, 0x90]], float)

MIDDLE = SLICES // 2


@pytest.fixture(scope="module")
def address(stack: Stack) -> Iterator[str]:
    with served(stack) as address:
        yield address


@pytest.fixture(scope="module")
def shown(address: str) -> Iterator[Page]:
    """The page with the stack; errors and requests that leave this machine fail the module."""
    with page(width=1280, height=800) as opened:
        opened.goto(address)
        opened.mouse.move(400, 700)
        yield opened


def drawn(shown: Page, stack: Stack) -> npt.NDArray[np.float64]:
    """The colours that the browser shows at the places."""
    panel = shown.locator(".neuroglancer-rendered-data-panel").bounding_box()
    assert panel is not None
    screen = np.asarray(Image.open(BytesIO(shown.screenshot())).convert("RGB"), float)
    nm = max(COLUMNS * stack.voxel_nm[2] / 800, ROWS * stack.voxel_nm[1] / 600)  # a pixel of the screen
    centre = panel["y"] + panel["height"] / 2, panel["x"] + panel["width"] / 2
    middle = (ROWS - 1) / 2, (COLUMNS - 1) / 2
    steps = stack.voxel_nm[1] / nm, stack.voxel_nm[2] / nm
    rows, columns = (np.array(centre) + (np.array(PLACES) - middle) * steps).astype(int).T
    colours: npt.NDArray[np.float64] = screen[rows, columns]
    return colours


def becomes(shown: Page, stack: Stack, expected: npt.NDArray[np.float64]) -> None:
    """Wait until the browser shows colours at the places."""
    end = time.monotonic() + 60
    while not np.allclose(drawn(shown, stack), expected, atol=3):
        assert time.monotonic() < end, f"{drawn(shown, stack)} instead of {expected}"
        shown.wait_for_timeout(100)


def greys(stack: Stack, detector: str, z: int) -> npt.NDArray[np.float64]:
    """What the store's window makes of a detector at the places: (places, 3)."""
    low, high = grey_windows(stack)[detector]
    plane = stack.read_slab(z, [detector], 1)[0].astype(float)
    values = np.array([plane[place] for place in PLACES])
    return np.repeat(255 * np.clip((values - low) / (high - low), 0, 1)[:, None], 3, axis=1)


def test_slices_and_labels_are_drawn_where_they_lie(shown: Page, stack: Stack) -> None:
    labels = np.array([stack.read_labels("u+net", MIDDLE)[place] for place in PLACES])
    grey = greys(stack, "ICE", MIDDLE)
    assert len(np.unique(grey)) > 4
    becomes(shown, stack, np.where(labels[:, None] > 0, (grey + COLOURS[labels]) / 2, grey))
    assert shown.title() == "sample - neuroglancer"
    names = shown.locator(".neuroglancer-layer-item-label").all_inner_texts()
    assert names == ["ICE", "TLD", "u+net confidence", "u+net", "other", "annotation"]
    assert {"pore", "hydrate"} <= set(shown.locator(".neuroglancer-segment-list").first.inner_text().split())
    shown.keyboard.press("4")  # labels off
    becomes(shown, stack, grey)
    shown.keyboard.press(".")
    becomes(shown, stack, greys(stack, "ICE", MIDDLE + 1))
    shown.keyboard.press("2")
    becomes(shown, stack, greys(stack, "TLD", MIDDLE + 1))
    shown.keyboard.press("3")
    confidence = np.array([stack.read_map("u+net", "confidence", MIDDLE + 1)[place] for place in PLACES], float)
    becomes(shown, stack, np.repeat(confidence[:, None], 3, axis=1))  # cubehelix begins black and ends white


def status(address: str, path: str, method: str = "GET", **headers: str) -> int:
    """What the server answers to a request of a path as it stands."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    connection.request(method, path, headers=headers)
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def answer(address: str) -> tuple[int, str | None]:
    """What the server answers to an address, and where that leads."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    connection.request("GET", urlsplit(address).path)
    try:
        response = connection.getresponse()
        return response.status, response.headers["Location"]
    finally:
        connection.close()


def test_only_files_of_the_store_are_served_to_this_machine(stack: Stack, address: str, tmp_path: Path) -> None:
    token = urlsplit(address).path.split("/")[2]
    store = f"/store/{token}"
    (tmp_path / "secret").write_text("secret")
    (stack.path / "link").symlink_to(tmp_path / "secret")
    try:
        assert status(address, f"{store}/link") == 403
    finally:
        (stack.path / "link").unlink()
    assert status(address, f"{store}/zarr.json") == 200
    assert status(address, f"{store}/zarr.json", Host="localhost:80") == 200
    assert status(address, f"{store}/zarr.json", Host="evil.example") == 403
    assert status(address, f"/v/{token}/", Host="evil.example") == 403
    assert status(address, f"/store/{'0' * 40}/zarr.json") == 404
    for path in ("../sample.yaml", "%2e%2e/sample.yaml", "/etc/passwd", "labels", "0/c/0/0/9/9", ""):
        assert status(address, f"{store}/{path}") in (403, 404), path
    for method in ("POST", "PUT", "DELETE"):
        assert status(address, f"{store}/zarr.json", method) == 405
    assert status(address, f"/phases/{token}/u%2Bnet/info") == 200
    assert status(address, f"/phases/{token}/unknown/info") == 404


def test_a_file_that_is_written_again_is_sent_again(stack: Stack, address: str) -> None:
    path = f"/store/{urlsplit(address).path.split('/')[2]}/added"
    file = stack.path / "added"
    try:
        answers = []
        for text, changed in (("old", 1e9), ("new", 2e9)):
            file.write_text(text)
            os.utime(file, (changed, changed))
            connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
            connection.request("GET", path, headers={"If-Modified-Since": "Mon, 01 Jan 2018 00:00:00 GMT"})
            answers.append(connection.getresponse().read())
            connection.close()
        assert answers == [b"", b"new"]
    finally:
        file.unlink()


def test_snapshots_are_refused(stack: Stack, tmp_path: Path) -> None:
    copy = snapshot(stack, tmp_path / "copy.ome.zarr")
    with pytest.raises(StackError, match=r"copy.ome.zarr is a snapshot that links to the images of .*; view .*"):
        served(copy).__enter__()


def test_a_port_in_use_is_refused(stack: Stack, address: str) -> None:
    port = urlsplit(address).port
    assert port is not None
    with pytest.raises(ConfigError, match=rf"port {port} of 127.0.0.1 cannot be used \(.*in use\); give a free --port"):
        served(stack, port=port).__enter__()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_command_opens_the_browser_and_stops_cleanly(stack: Stack, tmp_path: Path, ending: signal.Signals) -> None:
    opened = tmp_path / "opened"
    (tmp_path / "browser").write_text(f'#!/bin/sh\necho "$1" > {opened}.part && mv {opened}.part {opened}\n')
    (tmp_path / "browser").chmod(0o755)
    with viewing(stack.path, "--labels", "u+net", BROWSER=f"{tmp_path}/browser %s") as (address, process):
        wait_for(opened.exists)
        first = opened.read_text().strip()
        assert urlsplit(address).path.split("/")[2] not in first  # others can list what a browser is started with
        assert answer(first) == (302, address)
        assert answer(first) == (404, None)
        # A browser that stays connected, as all do, does not keep the server.
        events = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
        events.request("GET", f"/events/{urlsplit(address).path.split('/')[2]}?c=a&gc=&gs=")
        assert events.getresponse().status == 200
        process.send_signal(ending)
        output, errors = process.communicate(timeout=60)
        events.close()
    assert (process.returncode, errors) == (0, "")
    assert output.splitlines()[-1] == "the server has stopped"  # what came with the address was read with it


def test_a_screen_that_does_not_answer_is_refused(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", ":987")
    with pytest.raises(ConfigError, match="--napari needs a screen, and Qt cannot use the one that is named"):
        view(stack.path, napari=True)


@pytest.mark.parametrize(
    ("package", "option", "says"),
    [
        ("neuroglancer", "--no-browser", "neuroglancer is not installed: pip install 'monai-app[view]'"),
        ("napari", "--napari", "napari is not installed: pip install 'monai-app[napari]'"),
        ("", "--napari", "--napari needs a screen, and DISPLAY and WAYLAND_DISPLAY name none; leave --napari out"),
    ],
)
def test_what_is_missing_is_named(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, package: str, option: str, says: str
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(ConfigError, match=re.escape(says)):
        view(stack.path, no_browser=option == "--no-browser", napari=option == "--napari")
