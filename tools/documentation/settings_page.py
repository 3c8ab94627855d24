"""The page on settings, from their declarations, and the JSON schemas of files of settings."""

import json
from collections.abc import Mapping

from page_parts import page, table
from pydantic import BaseModel

from monai_app.bundle.configs.plain import read_config
from monai_app.bundle.configs.settings import read_overlays
from monai_app.bundle.configs.templates import config_names, size_path, template_path
from monai_app.bundle.configs.training_settings import list_settings
from monai_app.domain.schemas import document_schema, settings_table
from monai_app.phantom import PhantomConfig
from monai_app.stack import SampleDescription
from monai_app.study import Design

DOCUMENTS: Mapping[str, tuple[str, type[BaseModel]]] = {
    "sample": ("Description of a sample, sample.yaml", SampleDescription),
    "simulator": ("Simulator", PhantomConfig),
    "study": ("Design of a study, design.yaml", Design),
}
"""Files that users write, by the name of their schema: title and declaration."""

BUNDLES = ("fibsem_unet_segmentation", "fibsem_sensor3d_segmentation")


def settings_page() -> str:
    """Return the page."""
    trainings = [f"## Training {bundle}\n\n{_training(bundle)}" for bundle in BUNDLES]
    documents = [
        f"## {title}\n\n[JSON schema](schemas/{name}.schema.json)\n\n{_document(model)}"
        for name, (title, model) in DOCUMENTS.items()
    ]
    introduction = (
        "`monai-app train --set NAME=VALUE` changes a setting of a training, `--size` several of them. "
        "`monai-app settings` prints the tables of trainings, `--of sample` and `--of simulator` those of two files. "
        "Editors can check these files with their JSON schemas."
    )
    return page("Settings", introduction, *trainings, *documents)


def schemas() -> dict[str, str]:
    """Return the JSON schemas of the files, by name."""
    return {
        f"{name}.schema.json": json.dumps(document_schema(model, partial=name == "simulator"), indent=1) + "\n"
        for name, (_, model) in DOCUMENTS.items()
    }


def _training(bundle: str) -> str:
    template = read_config(template_path(bundle) / "configs" / "train.yaml")
    sizes = config_names(f"sizes/{bundle}")
    values = [list_settings({**template, **read_overlays([size_path(bundle, size)])}) for size in sizes]
    rows = [
        (f"`{row.name}`", *(_value(each.default) for each in (row, *others)), row.rule, row.text)
        for row, *others in zip(*values, strict=True)
    ]
    return table(("setting", *(f"size {size}" for size in sizes), "type", "meaning"), rows)


def _document(model: type[BaseModel]) -> str:
    rows = [(f"`{row.name}`", _value(row.default), row.rule, row.text) for row in settings_table(model)]
    return table(("setting", "default", "type", "meaning"), rows)


def _value(value: object) -> str:
    """Show a value as one types it; what a config computes, and what must be given, has none."""
    if value is None or (isinstance(value, str) and value.startswith(("$", "@"))):
        return ""
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"
