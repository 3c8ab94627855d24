"""Metadata of images and labels, in one JSON file that several processes may change."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from monai_app.errors import ConfigError
from monai_app.files import atomic_file, lock, lock_path

Info = dict[str, Any]


class Known(BaseModel):
    """Metadata: of images by id, of labels by tag and image id."""

    images: dict[str, Info] = {}
    labels: dict[str, dict[str, Info]] = {}


class Records:
    """The records in a file.

    Args:
        path: the JSON file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Known:
        """Return the current metadata.

        Raises:
            ConfigError: the file is damaged.
        """
        try:
            return Known.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return Known()
        except ValidationError:
            raise ConfigError(f"{self.path} is damaged; remove it (labels and images are kept)") from None

    def note(self, image_id: str, info: Mapping[str, Any], tag: str | None = None) -> None:
        """Add metadata of an image, or of its label with a tag."""
        with self._changing() as known:
            infos = known.images if tag is None else known.labels.setdefault(tag, {})
            infos.setdefault(image_id, {}).update(info)

    def forget(self, image_id: str, tag: str | None = None) -> None:
        """Remove the metadata of a label, or of an image with all its labels."""
        with self._changing() as known:
            for infos in (known.images, *known.labels.values()) if tag is None else [known.labels.get(tag, {})]:
                infos.pop(image_id, None)

    @contextmanager
    def _changing(self) -> Iterator[Known]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with lock(lock_path(self.path)):
            known = self.read()
            yield known
            with atomic_file(self.path) as temporary:
                temporary.write_text(known.model_dump_json(indent=1) + "\n", encoding="utf8")
