"""How large pages of `monai-app report` are, and how long a browser takes to open one, beside an empty page.

    python tools/benchmarks/report.py demo/report.html --target docs/results/report.json

A page is open when its scripts have run and the figures within the first window are drawn. Pages are opened in turn,
each in a new tab of one headless Chromium.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from common import command, machine, write_json
from playwright.sync_api import Browser, sync_playwright

from monai_app.report.pdf import find_browser

EMPTY = "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>empty</title></head><body></body></html>"
DRAWN = """() => [...document.querySelectorAll('.plot')].every(
    (each) => each.getBoundingClientRect().top > innerHeight || each.querySelector('.main-svg'))"""


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=Path, nargs="+")
    parser.add_argument("--times", type=int, default=15, help="how often each page is opened")
    parser.add_argument("--target", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        empty = Path(folder) / "empty.html"
        empty.write_text(EMPTY)
        browser = playwright.chromium.launch(executable_path=find_browser())
        seconds: dict[Path, list[float]] = {path: [] for path in (empty, *arguments.pages)}
        for _ in range(arguments.times):
            for path, own in seconds.items():
                own.append(open_page(browser, path))
        version = browser.version
        browser.close()
    write_json(arguments.target, summarised(seconds, empty, {"chromium": version, "times": arguments.times}))


def open_page(browser: Browser, path: Path) -> float:
    """Seconds until a page is open."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    begin = time.perf_counter()
    page.goto(path.absolute().as_uri())
    page.wait_for_function(DRAWN)
    seconds = time.perf_counter() - begin
    page.close()
    return seconds


def summarised(seconds: dict[Path, list[float]], empty: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Medians, and their ratios to that of the empty page."""
    medians = {path: statistics.median(own) for path, own in seconds.items()}
    pages = {
        path.stem: {
            "megabytes": round(path.stat().st_size / 1e6, 2),
            "seconds": round(medians[path], 3),
            "least_seconds": round(min(own), 3),
            "times_empty": round(medians[path] / medians[empty], 1),
        }
        for path, own in seconds.items()
        if path != empty
    }
    return {
        "command": command(),
        "machine": machine(),
        **settings,
        "empty_seconds": round(medians[empty], 3),
        "pages": pages,
    }


if __name__ == "__main__":
    main()
