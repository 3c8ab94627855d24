"""Exporting finished label images as TIFFs."""

from pathlib import Path

from monai_app.stack import Stack
from monai_app.stack.saving import check_folder, save_slices


def check_export(folder: str, *, overwrite: bool, stack: str | None = None) -> None:
    """Refuse a target of :func:`export_tiff` before the long work that comes first; see `check_folder`.

    Raises:
        ConfigError: the folder lies in a stack's store, or slices of ``stack`` have names that files cannot have.
        TargetExistsError: the folder exists and may not be replaced.
    """
    check_folder(None if stack is None else Stack.open(stack), Path(folder), overwrite=overwrite)


def export_tiff(stack: str, name: str, folder: str, *, overwrite: bool = False) -> Path:
    """Write the segmented slices of a finished label image as one TIFF each, as `save_slices` does.

    Args:
        stack: path of the stack.
        name: the label image's name in the store.
        folder: target folder.
        overwrite: replace an existing folder.

    Raises:
        AppError: see `save_slices`.
    """
    return save_slices(Stack.open(stack), Path(folder), name, overwrite=overwrite)
