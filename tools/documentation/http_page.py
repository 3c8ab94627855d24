"""The page on the label server's HTTP interface, from its OpenAPI document."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from page_parts import page, table

from monai_app.phantom import PhantomConfig, write_sample
from monai_app.stack import ingest

BUNDLE = "fibsem_unet_segmentation"


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of a server, as it answers `/openapi.json`."""
    from monai_app.label.app import StackApp  # MONAI Label takes long to load
    from monai_app.label.http.security import Access
    from monai_app.label.http.server import create_api
    from monai_app.label.settings import Settings, Workspace

    with TemporaryDirectory() as name:
        folder = Path(name)
        config = PhantomConfig.model_validate({"slices": 5, "rows": 64, "columns": 64})
        write_sample(config, folder / "sample")
        store = ingest(folder / "sample" / "sample.yaml", folder / "sample.ome.zarr")
        app = StackApp(Settings(stack=str(store.path), bundles=(BUNDLE,)), Workspace(folder / "label"))
        return create_api(app, Access()).openapi()


def http_page(document: Mapping[str, Any]) -> str:
    """Return the page about an OpenAPI document."""
    introduction = (
        "The requests that `monai-app serve` accepts: the interface of MONAI Label. [Its OpenAPI "
        "document](openapi.json) is also at `/openapi.json` of a server; [MONAI "
        "Label](../how-to/stacks/monai-label.md) has examples."
    )
    parts = document["components"]["schemas"]
    operations = [
        _operation(path, method, operation, parts)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return page("HTTP", introduction, *operations)


def openapi_json(document: Mapping[str, Any]) -> str:
    """Return the document as a file."""
    return json.dumps(document, indent=1) + "\n"


def _operation(path: str, method: str, operation: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    rows = [*_parameters(operation), *_fields(operation, parts)]
    text = operation.get("description") or operation.get("summary", "")
    parameters = table(("parameter", "place", "meaning"), rows) if rows else ""
    responses = f"Responses: {', '.join(operation['responses'])}."
    return "\n\n".join(filter(None, (f"## {method.upper()} {path}", text, parameters, responses)))


def _parameters(operation: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for parameter in operation.get("parameters", []):
        text = parameter.get("description", "")
        yield f"`{parameter['name']}`", parameter["in"], f"{_kind(parameter['schema'])} {text}"


def _fields(operation: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What a body holds: the fields of the declaration that its schema refers to."""
    for form, content in operation.get("requestBody", {}).get("content", {}).items():
        for part in content["schema"].get("anyOf", [content["schema"]]):
            declared = parts.get(part.get("$ref", "").rpartition("/")[2], {})
            for name, field in declared.get("properties", {}).items():
                yield f"`{name}`", form, f"{_kind(field)} {field.get('description', '')}"


def _kind(schema: Mapping[str, Any]) -> str:
    return " or ".join(filter(None, (each.get("type", "") for each in schema.get("anyOf", [schema]))))
