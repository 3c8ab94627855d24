"""The page stands alone, and text from outside stays text."""

import base64
import hashlib
import re
from html.parser import HTMLParser

from monai_app.domain.phase import Phase
from monai_app.reporting.content import Block, Facts, Legend, Listing, Note, Plot, Section, Table, Text
from monai_app.reporting.figures import bars, figure
from monai_app.reporting.page import missing, render, title_of
from monai_app.reporting.sources import Sources

HOSTILE = "</script><img src=x onerror=alert(1)>`<b>`"


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text of each script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            self.scripts[-1] += data


def hostile_page() -> str:
    phase = Phase(value=1, name=HOSTILE, rgb=(0, 0, 0))
    plot = Plot(HOSTILE, HOSTILE, figure([bars([phase], {HOSTILE: 1.0})], HOSTILE, "y"))
    table = Table(HOSTILE, (HOSTILE, phase), [(phase, HOSTILE)])
    blocks: list[Block] = [
        Facts([(HOSTILE, HOSTILE)]),
        Legend([phase]),
        Note(HOSTILE),
        Listing(HOSTILE, [HOSTILE]),
        Text([HOSTILE]),
    ]
    return render([Section("one", HOSTILE, HOSTILE, [*blocks, plot, table])], HOSTILE, [HOSTILE], [HOSTILE])


def test_names_stay_text_wherever_they_stand() -> None:
    found = Elements(hostile_page())
    assert "img" not in [tag for tag, _ in found.elements]
    assert not any(name.startswith("on") for _, attributes in found.elements for name in attributes)


def test_only_the_scripts_of_the_page_may_run_and_nothing_is_loaded() -> None:
    found = Elements(hostile_page())
    policy = next(own["content"] for tag, own in found.elements if own.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    scripts = [own for tag, own in found.elements if tag == "script"]
    code = [text for text, own in zip(found.scripts, scripts, strict=True) if "type" not in own]
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in code]
    assert len(code) == 3
    assert re.findall(r"'sha256-[^']*'", policy) == hashes
    assert "'unsafe-inline'" not in policy.split("script-src")[1]
    assert not [own for _, own in found.elements if (own.get("src") or "data:").split(":")[0] != "data"]
    assert not [own for tag, own in found.elements if tag == "link" or (own.get("href") or "#")[0] != "#"]


def test_a_page_without_figures_needs_no_plotly() -> None:
    text = render([Section("one", "One", "Lead.", [Note("a")])], "title", [], [])
    assert len(text) < 100_000


def test_a_page_says_what_it_was_made_without(sources: Sources) -> None:
    assert missing(sources) == []
    assert title_of(sources) == "tiny, labels unet"
    alone = Sources(run=sources.run)
    assert title_of(alone) == "Model run"
    assert [what.split(" (")[0] for what in missing(alone)] == ["a store", "a folder of `monai-app quantify`"]
    assert title_of(Sources(quantities=sources.quantities)) == "Quantities of tiny"
