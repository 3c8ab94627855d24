"""What the widgets show, as HTML; style and script of all of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from monai_app.domain.phase import Phase

_HERE = "monai_app.reporting.browser"


@dataclass(frozen=True)
class Assets:
    """What a page with widgets holds once, whatever their number.

    Args:
        css: for a ``<style>`` element.
        js: for a ``<script>`` element.
    """

    css: Markup
    js: Markup


ASSETS = Assets(
    *(Markup(files(_HERE).joinpath(name).read_text(encoding="utf8")) for name in ("browser.css", "browser.js"))
)

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader(_HERE, "."), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
)


def widget(template: str, about: Mapping[str, Any], slices: Sequence[str], **shown: Any) -> Markup:
    """Fill a template.

    Args:
        template: the file's name.
        about: what the script must know from the beginning.
        slices: what it must know of each slice when that is shown, by `slice_data`.
        shown: what else the template shows.
    """
    text = _TEMPLATES.get_template(template).render(about=about, slices=map(Markup, slices), **shown)
    return Markup(text)


def slice_data(content: Mapping[str, Any]) -> str:
    """JSON that may stand in a script element, whatever it holds."""
    return json.dumps(content, separators=(",", ":")).replace("<", r"\u003c")


def phase_list(phases: Sequence[Phase]) -> list[dict[str, Any]]:
    """Phases for the script."""
    return [{"value": phase.value, "name": phase.name, "rgb": phase.rgb} for phase in phases]
