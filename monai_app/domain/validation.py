"""Documents written by people or programs, each declared once: types, ranges, units, defaults and descriptions.

A subclass of :class:`Strict` is the declaration; error messages and the output of `schemas` derive from it.
"""

import json
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from monai_app.domain.schemas import SEPARATOR, Place, Schema, find, kind_of, members, resolve, rule_of, schema_of
from monai_app.errors import ConfigError
from monai_app.names import is_printable
from monai_app.yamlfile import line_of, read_yaml

_Item = TypeVar("_Item")
_Model = TypeVar("_Model", bound=BaseModel)

Items = Annotated[tuple[_Item, ...], Field(strict=False)]
"""A list in the document, a tuple in Python."""


def _check_printable(text: str) -> str:
    if not is_printable(text):
        raise ValueError("contains control characters; remove them")
    return text


Text = Annotated[str, Field(pattern=r"\S"), AfterValidator(_check_printable)]
"""Non-empty text of one line."""

Byte = Annotated[int, Field(ge=0, le=255)]

_SHOWN_ERRORS = 5
_NUMBERS = ("integer", "number", "true or false")
_KEYS = {"int_type": ("an integer", "without"), "string_type": ("text", "in")}
_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 80


class Strict(BaseModel):
    """Base of declarations: immutable and strict; unknown keys are errors, as are ``"5"`` and ``true`` for a number.

    The docstring of a field is its description. ``json_schema_extra`` of a field may contain ``unit``, and ``rule`` and
    ``remedy`` if the error derived from type and range is not helpful.

    Raises:
        ConfigError: a value is invalid.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    def __init__(self, **values: Any) -> None:
        """Check and keep the values."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise config_error(error, type(self), type(self).__name__) from None

    # Otherwise pydantic calls it for nested parts of a document, whose place is unknown here.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def replaced(self, **changes: Any) -> Self:
        """Return a copy with changed values, which are validated."""
        return type(self)(**{**dict(self), **changes})


def read_document(model: type[_Model], path: Path, context: Any = None) -> _Model:
    """Read a YAML or JSON file that ``model`` declares; an empty file means the defaults.

    Raises:
        ConfigError: it cannot be read or is invalid; the message names file, line, place, value, rule and remedy.
    """
    content = read_yaml(path)
    return validated(model, {} if content is None else content, path, context=context)


def validated(
    model: type[_Model], content: Any, source: Path | str, remedy: str = "", *, context: Any = None
) -> _Model:
    """Check a document.

    Args:
        model: what declares it.
        content: the document as mappings, lists and values.
        source: its name in error messages; if it is the file that contains only the document, they name lines.
        remedy: what to do about a generated file; otherwise it follows from the rule.
        context: ``info.context`` of the model's validators.

    Raises:
        ConfigError: one line per invalid value: source, place, value, rule and remedy.
    """
    try:
        return model.model_validate(content, context=context)
    except ValidationError as error:
        raise config_error(error, model, source, remedy) from None


def config_error(error: ValidationError, model: type[BaseModel], source: Path | str, remedy: str = "") -> ConfigError:
    """Convert a pydantic error into a `ConfigError`; see :func:`validated`."""
    schema = schema_of(model)
    rules: dict[Place, str] = {}
    for each in error.errors(include_url=False):
        is_key = each["type"] in ("missing", "extra_forbidden") and isinstance(each["loc"][-1], str)
        location = each["loc"][:-1] if each["type"] == "missing" and not is_key else each["loc"]  # a list too short
        place, part = find(schema, location, is_key)
        if each["type"] == "too_short" and any(place == other[: len(place)] for other in rules):
            continue  # none is left, because those that there were are wrong
        rule, usual = _rule_and_remedy(place, each, part, schema)
        rules.setdefault(place, f"{rule}; {remedy or usual}" if usual else rule)
    lines = [f"{_where(source, place)}: {text}" for place, text in rules.items()]
    rest = len(lines) - _SHOWN_ERRORS
    return ConfigError("\n".join(lines[:_SHOWN_ERRORS] + ([f"and {rest} more"] if rest > 0 else [])))


def _rule_and_remedy(place: Place, error: Mapping[str, Any], part: Schema, schema: Schema) -> tuple[str, str]:
    """Return what is wrong and the usual remedy; an error of the package contains both."""
    kind, value = error["type"], shown(error["input"])
    inside = _dotted(place[:-1])
    if kind == "missing" and place[-1:] == error["loc"][-1:]:
        example = [f", such as {place[-1]}: {json.dumps(each)}" for each in part.get("examples", [])[:1]]
        return f"{inside}key {str(place[-1])!r} is missing", "".join(["add it", *example])
    if kind == "extra_forbidden":
        parts = members(find(schema, place[:-1])[1], schema)
        known = [key for each in parts for key in each.get("properties", {})]
        return f"{inside}unknown key {str(place[-1])!r}", _suggest(str(place[-1]), known)
    if kind == "value_error":
        cause = error["ctx"]["error"]
        if isinstance(cause, ConfigError):
            return f"{_dotted(place)}{cause}", ""
        rule, _, usual = str(cause).partition("; ")
        what = "" if isinstance(error["input"], Mapping) else f"{value} "
        return f"{_dotted(place)}{what}{rule}", usual or "correct it"
    if "[key]" in place or kind == "invalid_key":
        rule, quotes = _KEYS.get(kind, _KEYS["string_type"])
        return f"{_dotted(place[:-2])}key {value} is not {rule}", f"write it {quotes} quotes"
    part = resolve(part, schema)
    if not part:  # an alias of the field
        return f"{_dotted(place)}{value}: {error['msg']}", "correct it"
    rule = part.get("rule") or rule_of(part, schema)
    return f"{_dotted(place)}{value} is not {rule}", part.get("remedy") or _remedy(part, error["input"], schema)


def _suggest(key: str, known: Iterable[str]) -> str:
    near = get_close_matches(key, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"the keys are {', '.join(known)}: remove or correct it"


def _remedy(part: Schema, value: Any, schema: Schema) -> str:
    kind = kind_of(part, schema)
    if kind.startswith("list") and not isinstance(value, list | tuple):
        return "write it in brackets, separated by commas"
    if kind.startswith("mapping"):
        return "write 'key: value' lines below it"
    if kind == "text" and value is not None:
        return "write some (in quotes if it looks like a number)"
    return "write one, without quotes" if kind in _NUMBERS and isinstance(value, str) else "correct it"


def shown(value: Any) -> str:
    """Format a value as in Python, shortened to any limit."""
    try:
        return _short.repr(value)
    except ValueError:  # an integer with thousands of digits
        return "a huge number"


def _dotted(place: Place) -> str:
    return SEPARATOR.join(str(part) for part in place if part != "[key]") + ": " if place else ""


def _where(source: Path | str, place: Sequence[int | str]) -> str:
    line = line_of(source, place) if isinstance(source, Path) else None
    return str(source) if line is None else f"{source}, line {line}"
