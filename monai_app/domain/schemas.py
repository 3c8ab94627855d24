"""Output derived from the JSON schema of a declaration: tables of settings, rules in words, schemas for editors."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from ruamel.yaml import YAML

SEPARATOR = "::"
"""Separator of the parts of an id, as in MONAI: ``phases::0::name``."""

Schema = Mapping[str, Any]
Place = tuple[int | str, ...]

_KINDS = {"integer": "integer", "number": "number", "boolean": "true or false", "string": "text", "null": "null"}


@cache
def schema_of(model: type[BaseModel]) -> Schema:
    """Return the JSON schema of a declaration."""
    return model.model_json_schema()


def write_document(model: type[BaseModel], content: Any, path: Path, *, partial: bool = False) -> None:
    """Write a YAML file and, next to it, the schema with which editors check it: ``<name>.schema.json``.

    Args:
        model: what declares it.
        content: the document.
        path: the YAML file.
        partial: any entry may be missing, because the document overrides defaults.
    """
    schema = path.with_suffix(".schema.json")
    schema.write_text(json.dumps(document_schema(model, partial=partial), indent=1) + "\n", encoding="utf-8")
    yaml = YAML()
    yaml.default_flow_style = False
    with path.open("w", encoding="utf-8") as file:
        file.write(f"# yaml-language-server: $schema={schema.name}\n")
        yaml.dump(content, file)


def document_schema(model: type[BaseModel], *, partial: bool = False) -> dict[str, Any]:
    """Return the JSON schema of a document; see :func:`write_document`."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
    for part in (schema, *schema.get("$defs", {}).values()) if partial else ():
        part.pop("required", None)
    return schema


@dataclass(frozen=True)
class Setting:
    """A row of a table of settings."""

    name: str
    type: str
    range: str
    unit: str
    default: Any
    text: str

    @property
    def rule(self) -> str:
        """Type, range and unit in words: ``list of 2 integers, each from 1 to 16384 px, or null``."""
        kind = self.type.removesuffix(" or null")
        limits = " ".join(filter(None, (self.range, self.unit)))
        words = kind + (", " if limits.startswith("each") else " ") * bool(limits) + limits
        return words if kind == self.type else f"{words}{',' * bool(limits)} or null"


def settings_table(model: type[BaseModel]) -> list[Setting]:
    """List every setting that a model declares; nested ones have the name ``part::name``."""
    schema = schema_of(model)
    return list(_rows(schema, schema, ""))


def _rows(part: Schema, schema: Schema, prefix: str, defaults: Any = None) -> Iterator[Setting]:
    for name, field in part["properties"].items():
        default = defaults[name] if isinstance(defaults, Mapping) else field.get("default")
        resolved = resolve(field, schema)
        inside = [resolve(each.get("items", each), schema) for each in members(field, schema)]
        parts = [each for each in inside if "properties" in each]
        for part in parts:
            number = f"N{SEPARATOR}" if resolved.get("type") == "array" else ""
            yield from _rows(part, schema, f"{prefix}{name}{SEPARATOR}{number}", default)
        if not parts:
            text = " ".join(field.get("description", "").split())
            limits = _limits(resolved)
            yield Setting(f"{prefix}{name}", kind_of(resolved, schema), limits, resolved.get("unit", ""), default, text)


def find(schema: Schema, location: Place, to_a_key: bool = False) -> tuple[Place, Schema]:
    """Follow pydantic's location. It also names the tried member of a union, which is not part of the place."""
    place: list[int | str] = []
    part: Schema = schema
    for index, step in enumerate(location):
        options = members(part, schema)
        found = next((below for each in options if (below := _below(each, step)) is not None), None)
        last_key = to_a_key and index == len(location) - 1
        if found is not None or len(options) == 1 or step == "[key]" or last_key:
            place.append(step)
        part = {} if found is None and len(options) == 1 else found or part
    return tuple(place), part


def members(part: Schema, schema: Schema) -> list[Schema]:
    """Return the alternatives of a value, or the only one."""
    part = resolve(part, schema)
    return [resolve(each, schema) for each in part.get("anyOf", [part])]


def _below(part: Schema, step: int | str) -> Schema | None:
    if isinstance(step, int) and part.get("type") == "array":
        fixed = part.get("prefixItems", [])
        return fixed[step] if step < len(fixed) else part.get("items") or None
    found = part.get("properties", {}).get(step, part.get("additionalProperties"))
    return found if isinstance(found, Mapping) and step != "[key]" else None


def resolve(part: Schema, schema: Schema) -> Schema:
    """Return the definition that a part of a schema refers to, or the part itself."""
    reference = part.get("$ref")
    return schema["$defs"][reference.rsplit("/", 1)[1]] if reference else part


def rule_of(part: Schema, schema: Schema) -> str:
    """Describe the rule in a part of a schema: ``an integer from 1 to 255``."""
    kind, limits = kind_of(part, schema), _limits(part)
    article = (
        "" if kind.startswith(("text", "true", "one of", "null")) else "an " if kind.startswith("integer") else "a "
    )
    return f"{article}{kind}{', ' if limits.startswith('each') else ' '}{limits}".rstrip()


def kind_of(part: Schema, schema: Schema) -> str:
    """Describe the type in a part of a schema: ``list of numbers``."""
    part = resolve(part, schema)
    if "anyOf" in part:
        return " or ".join(dict.fromkeys(kind_of(each, schema) for each in part["anyOf"]))
    if "enum" in part or "const" in part:
        return f"one of {', '.join(map(str, part.get('enum', [part.get('const')])))}"
    if part.get("type") == "array":
        fixed = part.get("prefixItems", [])
        items = re.sub(r"\b(integer|number|text|mapping|list)\b", r"\1s", kind_of(_item(part), schema))
        return f"list of {len(fixed)} {items}" if fixed else f"list of {items}"
    return _KINDS.get(part.get("type", ""), "mapping" if part.get("type") == "object" else "value")


def _item(part: Schema) -> Schema:
    items: Schema = part.get("items") or next(iter(part.get("prefixItems", [])), {})
    return items


def _limits(part: Schema) -> str:
    if "anyOf" in part:
        return " or ".join(filter(None, map(_limits, part["anyOf"])))
    if part.get("type") == "array":
        each = _limits(_item(part))
        return f"each {each.removeprefix('each ')}" if each else _filled(part, "minItems")
    if part.get("type") == "object":
        return _filled(part, "minProperties")
    low, above = part.get("minimum"), part.get("exclusiveMinimum")
    high, below = part.get("maximum"), part.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f"from {_number(low)} to {_number(high)}"
    named = {"of at least": low, "above": above, "of at most": high, "below": below}
    return " and ".join(f"{word} {_number(value)}" for word, value in named.items() if value is not None)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.12g}"


def _filled(part: Schema, name: str) -> str:
    return "with at least one entry" if part.get(name) == 1 else ""
