"""What is known of images and labels beside their pixels, in one JSON file that several processes may change."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monai_app.errors import ConfigError
from monai_app.files import atomic_file, lock, lock_path

Info = dict[str, Any]


class Records:
    """The information of images and of their labels.

    Args:
        path: the JSON file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def image(self, name: str) -> Info:
        """What is known of an image."""
        return dict(self._read()["images"].get(name, {}))

    def label(self, name: str, tag: str) -> Info:
        """What is known of an image's label."""
        return dict(self._read()["labels"].get(tag, {}).get(name, {}))

    def all(self) -> tuple[dict[str, Info], dict[str, dict[str, Info]]]:
        """What is known of all images, and of all labels by tag and image."""
        content = self._read()
        return content["images"], content["labels"]

    def update_image(self, name: str, info: Mapping[str, Any]) -> None:
        """Add to what is known of an image."""
        with self._changing() as content:
            content["images"].setdefault(name, {}).update(info)

    def update_label(self, name: str, tag: str, info: Mapping[str, Any]) -> None:
        """Add to what is known of an image's label."""
        with self._changing() as content:
            content["labels"].setdefault(tag, {}).setdefault(name, {}).update(info)

    def forget(self, name: str, tag: str | None = None) -> None:
        """Forget an image's label, or the image with all of them."""
        with self._changing() as content:
            for known in [tag] if tag is not None else list(content["labels"]):
                content["labels"].get(known, {}).pop(name, None)
            if tag is None:
                content["images"].pop(name, None)

    def _read(self) -> dict[str, Any]:
        if not self.path.is_file():
            return {"images": {}, "labels": {}}
        try:
            content = json.loads(self.path.read_text(encoding="utf8"))
            return {"images": dict(content["images"]), "labels": dict(content["labels"])}
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{self.path} is damaged ({error}); remove it: labels and images stay") from error

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with lock(lock_path(self.path)):
            content = self._read()
            yield content
            with atomic_file(self.path) as temporary:
                temporary.write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf8")
