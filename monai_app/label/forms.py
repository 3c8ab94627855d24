"""What requests carry: JSON in forms, options of other kinds, and files."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Body, Query, UploadFile

from monai_app.errors import ConfigError
from monai_app.label.datastore.temporary import new_path
from monai_app.label.datastore.volumes import suffix_of
from monai_app.label.settings import Workspace

Options = Annotated[dict[str, Any] | None, Body()]
Image = Annotated[str, Query(max_length=200)]
Tag = Annotated[str, Query(max_length=200)]

_DEEPEST = 20
"""Levels of what clients tell of images and labels."""


def read_object(text: str) -> dict[str, Any]:
    """Read a JSON object that a form carries."""
    try:
        content = json.loads(text or "{}")
        json.dumps(content, allow_nan=False, ensure_ascii=False).encode()  # it is to be told as JSON again
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"params {text[:120]!r} is no JSON ({error}); send an object, such as {{}}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"params {text[:120]!r} is no JSON object; send one, such as {{}}")
    if _depth(content) > _DEEPEST:
        raise ConfigError(f"params {text[:120]!r} is nested more than {_DEEPEST} levels deep; send less of it")
    return content


def _depth(content: Any) -> int:
    depth, level = 0, [content]
    while level:
        depth += 1
        inner = (part for part in level if isinstance(part, dict | list))
        level = [child for part in inner for child in (part.values() if isinstance(part, dict) else part)]
    return depth


def read_name(options: dict[str, Any] | None, name: str) -> dict[str, str]:
    """An option that is a name, or nothing where it is left out."""
    value = (options or {}).get(name)
    if value is None:
        return {}
    if not isinstance(value, str) or len(value) > 200:
        raise ConfigError(f"{name} {str(value)[:120]!r}: give a name")
    return {name: value}


def read_whole(options: dict[str, Any], name: str) -> int:
    """An option that counts something; 0 where it is left out."""
    value = options.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"{name} {value!r}: give a whole number, 0 or more")
    return value


@contextmanager
def received(workspace: Workspace, upload: UploadFile) -> Iterator[Path]:
    """Keep a file that was sent while the body runs; of its name only the format is used."""
    suffix = suffix_of(upload.filename or "")
    path = new_path(workspace, suffix)
    try:
        with path.open("xb") as target:
            shutil.copyfileobj(upload.file, target)
        yield path
    finally:
        path.unlink(missing_ok=True)
