"""Reading YAML files that people write, with errors that say what is wrong and where."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError

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


def _position(error: YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return "line unknown" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"
