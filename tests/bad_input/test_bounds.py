"""Every number that people can set has a least and a most in its declaration."""

from collections.abc import Iterator
from typing import Any

import pytest

from monai_app.bundle.configs.applied import Applied
from monai_app.bundle.configs.templates import template_paths
from monai_app.bundle.configs.training_settings import settings_of
from monai_app.domain.schemas import Place, Schema, resolve, schema_of
from monai_app.domain.validation import Strict
from monai_app.label.settings import Settings
from monai_app.phantom import PhantomConfig
from monai_app.stack import SampleDescription
from monai_app.yamlfile import read_yaml

DECLARATIONS: dict[str, type[Strict]] = {
    "sample": SampleDescription,
    "simulator": PhantomConfig,
    "segment": Applied,
    "serve": Settings,
    **{path.name: settings_of(read_yaml(path / "configs" / "train.yaml")) for path in template_paths()},
}
ELSEWHERE = {
    ("sample", "annotations", "unlabelled"): "values of label files, which may be any integers",
    ("sample", "annotations", "slices"): "checked against the stack",
    ("sample", "annotations", "train"): "checked against the stack",
    ("sample", "annotations", "test"): "checked against the stack",
    ("sample", "breaks"): "checked against the stack",
    ("serve", "slices"): "checked against the stack",
    ("serve", "test_slices"): "checked against the stack",
    ("segment", "tile"): "a number or a text, which inference/tiling/request.py reads and bounds",
    ("segment", "memory"): "a number or a text, which inference/tiling/request.py reads; the plan needs a least",
}


def numbers(part: Schema, schema: Schema, place: Place = ()) -> Iterator[tuple[Place, Schema]]:
    """Yield the place of every number below a part of a schema, and what is declared about it."""
    part = {**part, **resolve(part, schema)}
    if part.get("type") in ("integer", "number"):
        yield place, part
    for name, below in part.get("properties", {}).items():
        yield from numbers(below, schema, (*place, name))
    inside: list[Any] = [*part.get("anyOf", []), *part.get("allOf", []), *part.get("prefixItems", [])]
    inside += [below for key in ("items", "additionalProperties") if isinstance(below := part.get(key), dict)]
    for below in inside:
        yield from numbers(below, schema, place)


@pytest.mark.parametrize("name", DECLARATIONS)
def test_every_number_has_a_least_and_a_most(name: str) -> None:
    schema = schema_of(DECLARATIONS[name])
    found = list(numbers(schema, schema, (name,)))
    assert found
    for place, part in found:
        both = {"minimum", "exclusiveMinimum"} & part.keys() and {"maximum", "exclusiveMaximum"} & part.keys()
        assert both or place in ELSEWHERE, f"{'::'.join(map(str, place))} has no least or no most; declare both"
