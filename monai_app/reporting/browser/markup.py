"""HTML, style and script of the widgets."""

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
    """Assets that a page with widgets contains once.

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
        about: initial data for the script.
        slices: data of each slice from `slice_data`, used when it is shown.
        shown: other variables of the template.
    """
    text = _TEMPLATES.get_template(template).render(about=about, slices=map(Markup, slices), **shown)
    return Markup(text)


def slice_data(content: Mapping[str, Any]) -> str:
    """Return JSON that is safe in a script element."""
    return json.dumps(content, separators=(",", ":")).replace("<", r"\u003c")


def phase_list(phases: Sequence[Phase]) -> list[dict[str, Any]]:
    """Return the phases for the script."""
    return [{"value": phase.value, "name": phase.name, "rgb": phase.rgb} for phase in phases]
