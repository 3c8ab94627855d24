"""Reading YAML files, with errors that say what is wrong and where."""

import copy
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, SequenceNode

from monai_app.errors import ConfigError

LARGEST = 2**17
"""Maximum bytes of a file or characters of a text; more would take seconds to read."""

_DEEPEST, _MOST = 50, 100_000
"""Maximum levels and values of a document, including those repeated by aliases."""

_BITS = 1024

_SCANNER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_OPENING = (
    *(yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken),
    *(yaml.BlockSequenceStartToken, yaml.BlockMappingStartToken),
)
_CLOSING = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)


def read_yaml(path: Path) -> Any:
    """Read a YAML 1.2 file.

    Raises:
        ConfigError: it is missing, not UTF-8 text, not YAML, too large, or has a duplicate key.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise _too_large(str(path))
        text = content.decode("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; give the path of a YAML file") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); give the path of a YAML file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text; save it as UTF-8") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, source: str) -> Any:
    """Read a YAML 1.2 text.

    Args:
        text: the document.
        source: its name in error messages.

    Raises:
        ConfigError: it is not YAML, too large or too deep, or has a duplicate key.
    """
    check_extent(text, source)
    try:
        document = copy.deepcopy(_load(text))
        values, levels = _measured(document, 0, {})
    except DuplicateKeyError as error:
        problem = str(error.problem).split(" with value")[0]
        place = _position(error)
        raise ConfigError(
            f"{source}: {problem} ({place}); every key may occur only once; rename or remove one"
        ) from None
    except YAMLError as error:
        raise ConfigError(f"{source} is not valid YAML ({_position(error)}); correct that line") from None
    except Exception:  # a number with thousands of digits, 31 February, a list as a key: ruamel raises various errors
        raise ConfigError(
            f"{source} contains a value that is too long, too deep or invalid in YAML; correct it"
        ) from None
    if levels > _DEEPEST:
        raise _too_deep(source)
    if values > _MOST:
        raise ConfigError(
            f"{source} contains more than {_MOST} values, including those repeated by aliases (*NAME); write fewer"
        )
    return document


@lru_cache(maxsize=64)
def _load(text: str) -> Any:
    """Parse a document once: commands read the same files several times, and parsing is slow."""
    return YAML(typ="safe", pure=True).load(text)


def check_extent(text: str, source: str) -> None:
    """Refuse a text that would take seconds to parse; YAML errors are left to the parser.

    Raises:
        ConfigError: it is too large or too deeply nested.
    """
    if len(text) > LARGEST:
        raise _too_large(source)
    level = 0
    try:
        for token in yaml.scan(text, Loader=_SCANNER):
            level += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
            if level > _DEEPEST:
                raise _too_deep(source)
    except yaml.YAMLError:
        return


def is_huge(value: Any) -> bool:
    """Whether a value is an integer that Python may refuse to format."""
    return isinstance(value, int) and value.bit_length() > _BITS


def _measured(value: Any, level: int, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Return the number of values and levels; ``known`` caches those of aliases."""
    if is_huge(value):
        raise ValueError(value.bit_length())
    if not isinstance(value, dict | list | tuple | set) or level > _DEEPEST:
        return 1, 1
    if id(value) not in known:
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        inner = [_measured(part, level + 1, known) for part in parts]
        known[id(value)] = 1 + sum(values for values, _ in inner), 1 + max((deep for _, deep in inner), default=0)
    return known[id(value)]


def _too_large(source: str) -> ConfigError:
    return ConfigError(f"{source} is larger than {LARGEST} bytes, the maximum; shorten it")


def _too_deep(source: str) -> ConfigError:
    return ConfigError(f"{source} has more than {_DEEPEST} levels; reduce the nesting")


def line_of(path: Path, place: Sequence[int | str]) -> int | None:
    """Return the line, counted from 1, of an entry of a YAML file, or of its last existing parent.

    Args:
        path: the file.
        place: keys of mappings and indices of lists, starting at the top level.
    """
    try:
        node = YAML(pure=True).compose(path)
    except (OSError, ValueError, RecursionError, YAMLError):
        return None
    line = None
    for part in place:
        found = []
        if isinstance(part, int) and isinstance(node, SequenceNode):
            found = [(each, each) for each in node.value[part : part + 1]]
        elif isinstance(node, MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
        if not found:
            break
        line, node = found[0][0].start_mark.line + 1, found[0][1]
    return line


def _position(error: YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return "line unknown" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"
