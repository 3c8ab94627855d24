"""The metadata.json of the bundle that a file of weights belongs to."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from monai_app.errors import ConfigError
from monai_app.files import lock, lock_path, write_json


def metadata_of(weights: Path) -> Path:
    """Return the path of the metadata.json of the bundle with ``models/<weights>``."""
    return weights.absolute().parent.parent / "configs" / "metadata.json"


def change_metadata(weights: Path, entries: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Replace entries of a bundle's metadata.json.

    Args:
        weights: a file of weights of the bundle.
        entries: takes the document and gives the entries to put into it.

    Raises:
        ConfigError: the document is damaged.
    """
    path = metadata_of(weights)
    with lock(lock_path(path)):  # a training may write it too
        try:
            document = json.loads(path.read_text(encoding="utf8"))
            content = {**document, **entries(document)}
        except (ValueError, TypeError, AttributeError) as error:
            raise ConfigError(f"{path} is damaged ({error}); restore it from a copy, or train again") from None
        write_json(path, content)
