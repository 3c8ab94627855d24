"""Reading YAML files that people write, with errors that say what is wrong and where."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, SequenceNode

from monai_app.errors import ConfigError


def read_yaml(path: Path) -> Any:
    """Read a YAML 1.2 file.

    Raises:
        ConfigError: it is missing, no UTF-8 text, no YAML, or names a key twice.
    """
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); give the path of a YAML file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text; save it as UTF-8") from None
    except DuplicateKeyError as error:
        problem = str(error.problem).split(" with value")[0]
        place = _position(error)
        raise ConfigError(f"{path}: {problem} ({place}); every key may occur once: rename or remove one") from None
    except YAMLError as error:
        raise ConfigError(f"{path} is no valid YAML ({_position(error)}); correct that line") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, the 31st of February, brackets in brackets
        raise ConfigError(f"{path} holds a value too long, too deep or of no meaning for YAML; correct it") from None


def line_of(path: Path, place: Sequence[int | str]) -> int | None:
    """Return the line, from 1, of an entry of a YAML file, or of the last one on the way to it that exists.

    Args:
        path: the file.
        place: keys of mappings and indices of lists, from the outside.
    """
    try:
        node = YAML(pure=True).compose(path)
    except (OSError, ValueError, YAMLError):
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
