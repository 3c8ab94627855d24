"""Additions to the site: README as the first page, generated pages, and a check of what pages load."""

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from command_line import command_line_page
from formats_page import formats_page
from http_page import http_page, openapi, openapi_json
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from notebook_page import notebook_page
from python_pages import public_packages, python_page
from settings_page import schemas, settings_page

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]

BESIDE_DOCS = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "CITATION.cff": "CITATION.cff",
}
"""Files of the repository's top level, and the pages that they become."""

PYTHON = "reference/python/"
"""Folder of the pages on the Python interface."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie beside docs/, and those that are generated."""
    for name, content in (*_beside_docs(), *_generated()):
        files.append(File.generated(config, name, content=content))
    return files


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of a folder into the navigation where it ends an entry with ``/``."""
    config.nav = [_expanded(entry, Path(config.docs_dir)) for entry in config.nav or []]
    return config


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a site that loads anything from elsewhere."""
    for path in sorted(Path(config.site_dir).rglob("*.html")):
        for address in loaded_from_elsewhere(path.read_text(encoding="utf8")):
            raise PluginError(f"{path.relative_to(config.site_dir)} loads {address}; put the file into docs/")


class _Loads(HTMLParser):
    """Collects the addresses of what a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "link" and values.get("rel") in ("canonical", "next", "prev"):
            return
        names = ("href",) if tag == "link" else ("src", "srcset", "data", "poster")
        self.addresses += [value for name in names if (value := values.get(name))]


def loaded_from_elsewhere(html: str) -> list[str]:
    """Return the addresses of scripts, styles, pictures and frames of other hosts that a page loads."""
    parser = _Loads()
    parser.feed(html)
    styles = re.findall(r"url\(\s*[\"']?([^\"')]+)", html)
    return [each for each in (*parser.addresses, *styles) if re.match(r"(https?:)?//", each.strip())]


def _expanded(entry: Any, docs: Path) -> Any:
    if isinstance(entry, list):
        return [_expanded(each, docs) for each in entry]
    if isinstance(entry, Mapping):
        return {title: _expanded(value, docs) for title, value in entry.items()}
    if entry == PYTHON:
        return [f"{PYTHON}{name}.md" for name in public_packages()]
    if entry.endswith("/"):
        return [path.relative_to(docs).as_posix() for path in sorted((docs / entry).glob("*.md"))]
    return entry


def _beside_docs() -> Iterator[tuple[str, str]]:
    for source, name in BESIDE_DOCS.items():
        text = (CHECKOUT / source).read_text(encoding="utf8").replace("](docs/", "](")
        for other, page in BESIDE_DOCS.items():
            text = text.replace(f"]({other}", f"]({page}")
        yield name, text
    yield "javascripts/iframe-worker.js", (HERE / "iframe-worker.js").read_text(encoding="utf8")
    yield "stylesheets/tables.css", (HERE / "tables.css").read_text(encoding="utf8")


def _generated() -> Iterator[tuple[str, str]]:
    document = openapi()
    yield "notebook.md", notebook_page(CHECKOUT / "docs" / "notebook.ipynb")
    yield "reference/command-line.md", command_line_page()
    yield "reference/settings.md", settings_page()
    yield "reference/formats.md", formats_page()
    yield "reference/http.md", http_page(document)
    yield "reference/openapi.json", openapi_json(document)
    yield from ((f"reference/schemas/{name}", text) for name, text in schemas().items())
    yield from ((f"{PYTHON}{name}.md", python_page(name)) for name in public_packages())
