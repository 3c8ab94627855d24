"""The page: one self-contained HTML file."""

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from monai_app import __version__
from monai_app.files import atomic_file
from monai_app.progress import Progress, silent
from monai_app.reporting.agreement import check_agreement, remarks
from monai_app.reporting.browser import ASSETS
from monai_app.reporting.content import Plot, Section
from monai_app.reporting.sections import sections_of
from monai_app.reporting.sources import Sources

BUDGET, PER_SLICE = 40_000_000, 300_000
"""Maximum bytes of the pictures of a stack, and of each slice."""

_CODE = re.compile("`([^`]+)`")

_TEMPLATES = Path(__file__).with_name("templates")


def write_page(sources: Sources, path: Path, progress: Progress = silent) -> None:
    """Write a page about the given sources.

    All text is escaped. The content security policy allows only the embedded scripts, by hash, and no loading of
    resources.

    Args:
        sources: what the page is about.
        path: the HTML file.
        progress: called for every slice that is drawn.

    Raises:
        ConfigError: the sources do not belong together.
        StackError: a slice is damaged.
        StorageError: the disk is full or read-only.
    """
    check_agreement(sources)
    budget = min(BUDGET, PER_SLICE * sources.store.stack.shape[0]) if sources.store else BUDGET
    text = render(sections_of(sources, budget, progress), title_of(sources), list(remarks(sources)), missing(sources))
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf8")


def title_of(sources: Sources) -> str:
    """Return the title of a page about these sources."""
    if sources.store:
        labels = f", labels {sources.store.labels.name}" if sources.store.labels else ""
        return f"{sources.store.stack.name}{labels}"
    if sources.run:
        return f"Model {sources.run.path.name}"
    if sources.study and not sources.quantities:
        return f"Study {sources.study.path.name}"
    document = sources.quantities.document if sources.quantities else {}
    return f"Quantities of {document.get('stack', {}).get('name', 'labels')}"


def missing(sources: Sources) -> list[str]:
    """Return the sources that were not given, and what they would add; a study needs no others."""
    lacking = {
        "a run folder (model, training, scores and calibration)": sources.run,
        "a store (sample, labels, confidence and slices)": sources.store,
        "a folder of `monai-app quantify` (quantities of the material)": sources.quantities,
    }
    alone = sources.study is not None and not any(lacking.values())
    return [] if alone else [what for what, given in lacking.items() if given is None]


def render(sections: Sequence[Section], title: str, remarks: Sequence[str], missing: Sequence[str]) -> str:
    """Render sections as HTML.

    Args:
        sections: in order.
        title: of the page.
        remarks: shown before all sections.
        missing: sources that were not given.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"json": _json, "embedded": _embedded, "prose": _prose}
    plots = any(isinstance(block, Plot) for each in sections for block in each.blocks)
    scripts = [*([get_plotlyjs()] if plots else []), ASSETS.js, (_TEMPLATES / "page.js").read_text(encoding="utf8")]
    return environment.get_template("page.html").render(
        title=title,
        version=__version__,
        sections=sections,
        remarks=remarks,
        missing=missing,
        styles=[Markup((_TEMPLATES / "style.css").read_text(encoding="utf8")), Markup(ASSETS.css)],
        scripts=[Markup(script) for script in scripts],
        hashes=[f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts],
    )


def _json(value: Any) -> Markup:
    """Return JSON for a script element: anything that could end the element is escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.translate({ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}))


def _prose(text: str) -> Markup:
    """Return a sentence as HTML, with text between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


def _embedded(content: bytes | Path) -> str:
    """Return bytes, or the content of a file, in base64."""
    return b64encode(content.read_bytes() if isinstance(content, Path) else content).decode("ascii")
