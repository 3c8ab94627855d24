"""What a declaration gives: checked values, errors with file, line, place, value, rule and remedy, and a table."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, field_validator

from monai_app.domain.schemas import Setting, document_schema, settings_table, write_document
from monai_app.domain.validation import Items, Strict, read_document, validated
from monai_app.errors import ConfigError

Length = Annotated[float, Field(gt=0, json_schema_extra={"unit": "nm"})]


class Voxel(Strict):
    """Size."""

    z: Length = 40.0
    """Thickness
    of a slice."""


class Colour(Strict):
    """A colour."""

    rgb: Items[Annotated[int, Field(ge=0, le=255)]]
    """Red, green and blue."""
    code: Annotated[str, Field(json_schema_extra={"rule": "of the form '#rrggbb'", "remedy": "quote it"})] = "#000000"
    """The same."""

    @field_validator("rgb")
    @classmethod
    def _three(cls, rgb: tuple[int, ...]) -> tuple[int, ...]:
        if len(rgb) != 3:
            raise ConfigError(f"{list(rgb)} has {len(rgb)} numbers; write three")
        return rgb


class Document(Strict):
    """Everything."""

    name: str
    """What it is called."""
    voxel: Voxel = Voxel()
    """Size of a voxel."""
    colours: Items[Colour] = ()
    """Colours."""
    slices: Items[int | str] = ()
    """Slices."""
    meaning: dict[int, str] = Field(default_factory=dict)
    """Values."""
    rest: bool = False
    """The rest."""
    kind: Literal["max", "entropy"] | None = None
    """Kind."""
    count: Annotated[int, Field(ge=1)] | None = None
    """Count."""
    sides: Annotated[tuple[int, int], Field(strict=False)] = (1, 1)
    """Sides."""


def _refusal(content: Any) -> str:
    with pytest.raises(ConfigError) as error:
        validated(Document, content, "it")
    return str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"voxel": {"z": 0}}, "it: voxel::z: 0 is not a number above 0; correct it"),
        ({"voxel": {"z": "5"}}, "it: voxel::z: '5' is not a number above 0; write one, without quotes"),
        ({"voxel": {"z": True}}, "it: voxel::z: True is not a number above 0; correct it"),
        ({"voxel": {"z": float("nan")}}, "it: voxel::z: nan is not a number above 0; correct it"),
        ({"voxel": {"Z": 1}}, "it: voxel: unknown key 'Z'; the keys are z: remove or correct it"),
        ({"voxel": 3}, "it: voxel: 3 is not a mapping; write 'key: value' lines below it"),
        ({"colour": []}, "it: unknown key 'colour'; did you mean 'colours'?"),
        ({"colours": [{}]}, "it: colours::0: key 'rgb' is missing; add it"),
        ({"colours": [{"rgb": [1, 2]}]}, "it: colours::0::rgb: [1, 2] has 2 numbers; write three"),
        ({"colours": [{"rgb": [256, 0, 0]}]}, "it: colours::0::rgb::0: 256 is not an integer from 0 to 255"),
        ({"colours": [{"rgb": 5}]}, "rgb: 5 is not a list of integers, each from 0 to 255; write it in brackets"),
        ({"colours": [{"rgb": [0, 0, 0], "code": None}]}, "code: None is not of the form '#rrggbb'; quote it"),
        ({"slices": [1, "b", 1.5]}, "it: slices::2: 1.5 is not an integer or text; correct it"),
        ({"meaning": {"0": "pore"}}, "it: meaning: key '0' is not an integer; write it without quotes"),
        ({"meaning": {0: 1}}, "it: meaning::0: 1 is not text; write some (in quotes if it looks like a number)"),
        ({"rest": "yes"}, "it: rest: 'yes' is not true or false; write one, without quotes"),
        ({"rest": 1}, "it: rest: 1 is not true or false; correct it"),
        ({"kind": "min"}, "it: kind: 'min' is not one of max, entropy or null; correct it"),
        ({"count": 0}, "it: count: 0 is not an integer or null of at least 1; correct it"),
        ({"rest": 10**5000}, "it: rest: a huge number is not true or false; correct it"),
        ({"sides": [1]}, "it: sides: [1] is not a list of 2 integers; correct it"),
        ({"sides": []}, "it: sides: [] is not a list of 2 integers; correct it"),
        ({"sides": [1, 2, 3]}, "it: sides: [1, 2, 3] is not a list of 2 integers; correct it"),
        ({5: 1}, "it: key 5 is not text; write it in quotes"),
    ],
)
def test_refusals_name_place_value_rule_and_remedy(content: dict[Any, Any], message: str) -> None:
    assert message in _refusal({"name": "a", **content})


def test_every_wrong_value_has_a_line_and_many_are_counted() -> None:
    assert _refusal({"rest": 1, "kind": 2}).splitlines() == [
        "it: key 'name' is missing; add it",
        "it: rest: 1 is not true or false; correct it",
        "it: kind: 2 is not one of max, entropy or null; correct it",
    ]
    assert _refusal({"name": "a", "meaning": dict.fromkeys(range(9), 1)}).splitlines()[5:] == ["and 4 more"]


def test_lists_become_tuples_and_whole_numbers_numbers() -> None:
    found = validated(Document, {"name": "a", "slices": [1, "b"], "voxel": {"z": 3}}, "it")
    assert found == Document(name="a", slices=(1, "b"), voxel=Voxel(z=3.0))


def test_a_call_with_wrong_values_is_refused_alike() -> None:
    with pytest.raises(ConfigError, match=r"^Voxel: z: -1 is not a number above 0"):
        Voxel(z=-1)
    with pytest.raises(ConfigError, match=r"^Voxel: z: -1 is not"):
        Voxel().replaced(z=-1)
    assert Voxel().replaced(z=3.0) == Voxel(z=3.0)


def test_a_file_is_named_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "it.yaml"
    path.write_text("name: a\nvoxel:\n  z: 1\nslices:\n- 1\n- true\nmeaning: {3: 4}\ncolours:\n- {}\n")
    with pytest.raises(ConfigError) as error:
        read_document(Document, path)
    assert str(error.value).splitlines() == [
        f"{path}, line 9: colours::0: key 'rgb' is missing; add it",
        f"{path}, line 6: slices::1: True is not an integer or text; correct it",
        f"{path}, line 7: meaning::3: 4 is not text; write some (in quotes if it looks like a number)",
    ]


@pytest.mark.parametrize("text", ["a: 2024-02-31", f"a: {'9' * 5000}", "[" * 3000])
def test_values_that_break_the_reader_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "it.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"it\.yaml"):
        read_document(Document, tmp_path / "it.yaml")


def test_table_lists_what_is_declared() -> None:
    rows = {row.name: row for row in settings_table(Document)}
    assert list(rows) == [
        "name",
        "voxel::z",
        "colours::N::rgb",
        "colours::N::code",
        *["slices", "meaning", "rest", "kind", "count", "sides"],
    ]
    assert rows["voxel::z"] == Setting("voxel::z", "number", "above 0", "nm", 40.0, "Thickness of a slice.")
    assert rows["slices"].type == "list of integers or texts"
    assert rows["kind"].type == "one of max, entropy or null"
    assert (rows["count"].range, rows["count"].default) == ("of at least 1", None)


def test_a_document_is_written_with_the_schema_by_which_editors_check_it(tmp_path: Path) -> None:
    write_document(Voxel, {"z": 3.0}, tmp_path / "voxel.yaml", partial=True)
    assert (tmp_path / "voxel.yaml").read_text() == "# yaml-language-server: $schema=voxel.schema.json\nz: 3.0\n"
    assert json.loads((tmp_path / "voxel.schema.json").read_text()) == document_schema(Voxel)
    assert read_document(Voxel, tmp_path / "voxel.yaml") == Voxel(z=3.0)
    assert document_schema(Document)["required"] == ["name"]
    assert "required" not in json.dumps(document_schema(Document, partial=True))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.integers() | st.text(max_size=5) | st.sampled_from(list(Document.model_fields)), inner)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=50)
@given(
    content=VALUES
    | st.fixed_dictionaries({"name": VALUES}, optional={key: VALUES for key in Document.model_fields if key != "name"})
)
def test_any_content_is_taken_or_refused(content: Any) -> None:
    try:
        told = f"it: {validated(Document, content, 'it').name}"
    except ConfigError as error:
        told = str(error)
    assert told.startswith("it: ")
