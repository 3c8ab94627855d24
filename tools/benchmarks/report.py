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

from monai_app.reporting.pdf import find_browser

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
        found: dict[Path, list[tuple[float, float]]] = {path: [] for path in (empty, *arguments.pages)}
        for _ in range(arguments.times):
            for path, own in found.items():
                own.append(open_page(browser, path))
        version = browser.version
        browser.close()
    write_json(arguments.target, summarised(found, empty, {"chromium": version, "times": arguments.times}))


def open_page(browser: Browser, path: Path) -> tuple[float, float]:
    """Seconds until a page is open, and seconds that its main thread computed: other work lengthens the first alone."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    begin = time.perf_counter()
    page.goto(path.absolute().as_uri())
    page.wait_for_function(DRAWN)
    seconds = time.perf_counter() - begin
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    page.close()
    return seconds, metrics["TaskDuration"]


def summarised(found: dict[Path, list[tuple[float, float]]], empty: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Medians, and the ratio of times to that of the empty page."""
    medians = {path: [statistics.median(each) for each in zip(*own, strict=True)] for path, own in found.items()}
    pages = {
        path.stem: {
            "megabytes": round(path.stat().st_size / 1e6, 1),
            "seconds": round(medians[path][0], 2),
            "computing_seconds": round(medians[path][1], 2),
            "times_empty": round(medians[path][0] / medians[empty][0], 1),
        }
        for path in found
        if path != empty
    }
    seconds = round(medians[empty][0], 3)
    return {"command": command(), "machine": machine(), **settings, "empty_seconds": seconds, "pages": pages}


if __name__ == "__main__":
    main()
