"""Reading a YAML mapping key by key, with errors that name the key, the rule and the remedy."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from monai_app.errors import ConfigError


def mapping(value: Any, where: str) -> dict[Any, Any]:
    """Give ``value`` if it is a non-empty mapping.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, Mapping) or not value:
        raise ConfigError(f"{where}: {value!r} is not a mapping; write 'key: value' lines below it")
    return dict(value)


def check_keys(entries: Mapping[Any, Any], where: str, required: Iterable[str], optional: Iterable[str] = ()) -> None:
    """Check that all required keys are there and no unknown ones.

    Raises:
        ConfigError: naming the key.
    """
    required, optional = tuple(required), tuple(optional)
    for key in entries:
        if key not in (*required, *optional):
            raise ConfigError(
                f"{where}: unknown key {key!r}; the keys are {', '.join((*required, *optional))}: remove or correct it"
            )
    for key in required:
        if key not in entries:
            raise ConfigError(f"{where}: key {key!r} is missing; add it")


def text(value: Any, where: str) -> str:
    """Give ``value`` if it is non-empty text.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{where}: {value!r} is not text; write some (in quotes if it looks like a number)")
    return value


def whole(value: Any, where: str) -> int:
    """Give ``value`` if it is a whole number.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(f"{where}: {value!r} is not a whole number; write one, without quotes")
    return value


def positive(value: Any, where: str) -> float:
    """Give ``value`` if it is a finite number above 0.

    Raises:
        ConfigError: it is something else.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:
        raise ConfigError(f"{where}: {value!r} is not a number above 0; write one, without quotes")
    return float(value)


def flag(value: Any, where: str) -> bool:
    """Give ``value`` if it is true or false.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, bool):
        raise ConfigError(f"{where}: {value!r} is neither true nor false; write one of them, without quotes")
    return value


def items(value: Any, where: str) -> list[Any]:
    """Give ``value`` if it is a list.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{where}: {value!r} is not a list; write it in brackets, such as [5, 12, 20]")
    return list(value)


def wholes(value: Any, where: str) -> tuple[int, ...]:
    """Give ``value`` as a tuple if it is a list of different whole numbers.

    Raises:
        ConfigError: it is something else.
    """
    numbers = tuple(whole(item, where) for item in items(value, where))
    for number in numbers:
        if numbers.count(number) > 1:
            raise ConfigError(f"{where}: {number} occurs twice; name every number once")
    return numbers
