import re
import stat
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup

from monai_app.errors import ConfigError, FailedError
from monai_app.reporting import pdf
from monai_app.reporting.browser import ComparedSlice, compare_layers
from monai_app.stack import Phase
from tests import browsing
from tests.reporting.browser.pages import write_page

DRAWN = Markup(
    """<style>@page { size: A4 } section { break-after: page }</style><script>
    const drawn = () => document.body.insertAdjacentHTML("beforeend", "<section>drawn</section>".repeat(2));
    new MutationObserver(drawn).observe(document.body, { subtree: true, attributeFilter: ["data-drawn"] });</script>"""
)
"""Two pages more when a widget has drawn."""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page with a widget, whose script needs a while."""
    plane = np.ones((40, 50), np.uint8)
    phase = Phase(value=1, name="pore", rgb=(0, 0, 0))
    compared = ComparedSlice("slice 1", {"ICE": plane}, plane, plane, (1, 1, 1))
    return write_page(tmp_path / "a page #1.html", compare_layers([compared], [phase], budget=10**6), DRAWN)


def program(path: Path, text: str) -> Path:
    """A program that takes a browser's place."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.skipif(browsing.chromium() is None, reason="there is no Chromium; tools/install-screen installs it")
def test_a_page_is_printed_when_its_scripts_have_drawn(page: Path) -> None:
    target = page.with_name("report.pdf")
    pdf.print_pdf(page, target)
    content = target.read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", content)) == 3
    assert sorted(path.name for path in page.parent.iterdir()) == ["a page #1.html", "report.pdf"]


def test_where_no_browser_is_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, page: Path) -> None:
    monkeypatch.setenv("PATH", str(page.parent))
    monkeypatch.delenv(pdf.BROWSER, raising=False)
    with pytest.raises(ConfigError, match=f"none of them is on the PATH; install one, name it in .*{pdf.BROWSER}"):
        pdf.print_pdf(page, page.with_name("report.pdf"))
    monkeypatch.setenv(pdf.BROWSER, "/no/browser")
    with pytest.raises(ConfigError, match="'/no/browser', which is not a program"):
        pdf.print_pdf(page, page.with_name("report.pdf"))


def test_a_browser_that_fails_leaves_the_old_file(monkeypatch: pytest.MonkeyPatch, page: Path) -> None:
    target = page.with_name("report.pdf")
    target.write_text("old")
    monkeypatch.setenv(pdf.BROWSER, str(program(page.with_name("broken"), "echo 'no display' >&2; exit 1")))
    with pytest.raises(FailedError, match=r"printed no PDF of .*: no display; open the page in a browser"):
        pdf.print_pdf(page, target)
    monkeypatch.setenv(pdf.BROWSER, str(program(page.with_name("slow"), "exec sleep 60")))
    monkeypatch.setattr(pdf, "_SECONDS", 0.2)
    with pytest.raises(FailedError, match="it took more than 0 s"):
        pdf.print_pdf(page, target)
    assert target.read_text() == "old"


def test_the_sandbox_is_given_up_for_root_alone(monkeypatch: pytest.MonkeyPatch, page: Path) -> None:
    echo = program(page.with_name("echo"), 'echo "$@" >&2')
    monkeypatch.setenv(pdf.BROWSER, str(echo))
    for user, given in ((0, True), (1000, False)):
        monkeypatch.setattr("os.geteuid", lambda user=user: user)
        with pytest.raises(FailedError) as refused:
            pdf.print_pdf(page, page.with_name("report.pdf"))
        assert ("--no-sandbox" in str(refused.value)) == given
