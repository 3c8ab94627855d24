"""Labels that are files: predictions, and labels of volumes that clients sent; a folder a tag."""

from pathlib import Path

from monai_app.errors import ConfigError
from monai_app.label.uploads import Uploads


class LabelFiles:
    """The labels in one folder.

    Args:
        folder: it is made when the first comes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def tags(self) -> list[str]:
        """The tags for which there is a folder, sorted."""
        return sorted(path.name for path in self.folder.glob("[A-Za-z0-9]*") if _is_folder(path))

    def of(self, tag: str) -> Uploads:
        """The labels of a tag.

        Raises:
            ConfigError: its folder is a link, which might lead elsewhere.
        """
        folder = self.folder / tag
        if folder.is_symlink():
            raise ConfigError(f"tag {tag!r}: its folder is a link, which is not followed; choose another tag")
        return Uploads(folder)

    def path(self, image_id: str, tag: str) -> Path | None:
        """Where the label of an image is, or None where it has none of that tag."""
        return self.of(tag).path(image_id) if tag in self.tags() else None

    def files(self) -> dict[str, dict[str, Path]]:
        """The files by tag and image."""
        return {tag: self.of(tag).files() for tag in self.tags()}

    def remove(self, image_id: str) -> None:
        """Remove all labels of an image."""
        for tag in self.tags():
            self.of(tag).remove(image_id)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
