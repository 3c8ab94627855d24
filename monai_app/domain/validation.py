"""What is wrong with a file's content, as pydantic found it, in the words of this package."""

from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from monai_app.errors import ConfigError

Checked = TypeVar("Checked", bound=BaseModel)


class Strict(BaseModel):
    """Base of what is read from files: it never changes, and a value of another type is refused, not converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def validated(model: type[Checked], content: Any, source: str, remedy: str = "correct it") -> Checked:
    """Return the content of a file as a model.

    Args:
        model: its declaration.
        content: what was read: mappings, lists and plain values.
        source: what it was read from, for messages.
        remedy: what to do where a rule does not say it itself.

    Raises:
        ConfigError: naming the source, the place of the first wrong value, the value, its rule and the remedy.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"{each}: " for each in _names(first["loc"]))
        rule = first["msg"].removeprefix("Value error, ")
        shown = "" if first["type"] == "missing" or not first["loc"] else f"{first['input']!r}: "
        raise ConfigError(f"{source}: {place}{shown}{rule}" + ("" if ";" in rule else f"; {remedy}")) from None


def _names(location: Iterable[int | str]) -> list[str]:
    return [str(each + 1) if isinstance(each, int) else each for each in location]
