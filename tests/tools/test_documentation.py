"""The generated pages of the documentation site name everything, and the site loads nothing from elsewhere."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from command_line import command_line_page
from formats_page import formats_page
from hooks import loaded_from_elsewhere, on_config, on_post_build
from http_page import http_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from notebook_page import notebook_page
from page_parts import table
from python_pages import public_packages, python_page
from settings_page import schemas, settings_page
from typer.core import TyperGroup

from monai_app.cli import COMMANDS, app
from monai_app.io.registry import FORMATS
from monai_app.io.writers.registry import WRITERS


def options() -> Iterator[str]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for command in (each for each in group.commands.values() if not each.hidden):
        for parameter in (each for each in command.params if not getattr(each, "hidden", False)):
            yield from (name for name in parameter.opts if name.startswith("-"))


def test_every_command_and_option_is_on_the_page() -> None:
    page = command_line_page()
    assert page.count("\n### monai-app ") == len(COMMANDS)
    assert "monai-app save" not in page
    assert [name for name in options() if not re.search(rf"[` ]{name}[`, ]", page)] == []
    assert "monai-app train [OPTIONS] STACK... [RUN]" in page
    assert "| `--port N` | Port; 0 selects a free one. [default: 8000] |" in page
    assert "`--align slices\\|detectors\\|both`" in page
    for title in ("## Make a stack", "**Arguments**", "**Options**", "**Network**"):
        assert f"\n{title}\n" in page
    assert "MONAI_APP_TOKEN" in page


def test_settings_stand_beside_their_sizes_and_files_have_schemas() -> None:
    page = settings_page()
    assert "| `features` | `[64, 128, 256, 512, 1024, 64]` | `[16, 32, 64, 128, 256, 16]` |" in page
    for name in ("annotations::train", "seeds", "artefacts::curtaining"):
        assert name in page
    for name in schemas():
        assert f"](schemas/{name})" in page


def test_every_format_is_on_the_page() -> None:
    page = formats_page()
    read = {suffix for form in FORMATS for suffix in form.suffixes}
    written = {suffix for form in WRITERS for suffix in form.suffixes}
    assert [suffix for suffix in sorted(read | written) if f"`{suffix}`" not in page] == []


def test_the_page_on_http_has_parameters_and_fields_of_bodies() -> None:
    body = {"$ref": "#/components/schemas/Body"}
    document = {
        "paths": {
            "/infer/{model}": {
                "post": {
                    "summary": "Segment an image",
                    "parameters": [{"name": "model", "in": "path", "schema": {"type": "string"}}],
                    "requestBody": {"content": {"multipart/form-data": {"schema": body}}},
                    "responses": {"200": {"description": "OK"}, "404": {"description": "Not Found"}},
                }
            }
        },
        "components": {
            "schemas": {"Body": {"properties": {"file": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}}
        },
    }
    page = http_page(document)
    assert "## POST /infer/{model}\n\nSegment an image\n\n" in page
    assert "| `model` | path | string |" in page
    assert "| `file` | multipart/form-data | string or null |" in page
    assert "Responses: 200, 404." in page


def test_packages_with_public_names_have_a_page() -> None:
    assert {"monai_app.stack", "monai_app.metrics"} <= set(public_packages())
    assert "monai_app.cli" not in public_packages()
    assert "::: monai_app.stack\n" in python_page("monai_app.stack")


def test_cells_of_tables_end_where_they_should() -> None:
    assert table(["a"], [["one | two\nthree"]]).endswith("| one \\| two three |")


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://a.example/b.js"></script>',
        '<link rel="stylesheet" href="//a.example/b.css">',
        '<img src="http://a.example/b.png">',
        "<style>@font-face { src: url('https://a.example/f.woff2') }</style>",
    ],
)
def test_what_a_page_loads_from_elsewhere_is_refused(html: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(html)
    config = MkDocsConfig()
    config.site_dir = str(tmp_path)
    with pytest.raises(PluginError, match=r"^index.html loads (https?:)?//a.example/"):
        on_post_build(config)


def test_links_to_elsewhere_and_own_files_are_none_of_it() -> None:
    html = '<a href="https://a.example"></a><img src="b.png"><link rel="canonical" href="https://a.example">'
    assert loaded_from_elsewhere(html) == []


def test_a_folder_in_the_navigation_stands_for_its_pages(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for name in ("b", "a"):
        (tmp_path / "more" / f"{name}.md").touch()
    config = MkDocsConfig()
    config.docs_dir, config.nav = str(tmp_path), [{"First": ["index.md", {"More": "more/"}]}]
    assert on_config(config).nav == [{"First": ["index.md", {"More": ["more/a.md", "more/b.md"]}]}]


def test_the_page_of_the_notebook_has_its_texts_and_its_code(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "Text"]},
        {"cell_type": "code", "source": ["a = 1\n", "a"], "outputs": []},
    ]
    (tmp_path / "one.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf8")
    page = notebook_page(tmp_path / "one.ipynb")
    assert page == "# Title\nText\n\n[Download the notebook](one.ipynb).\n\n```python\na = 1\na\n```\n"
