"""Dialogs of the window."""

from collections.abc import Callable, Sequence
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

_BUTTON = QMessageBox.StandardButton


def ask_folder(parent: QWidget, title: str, act: Callable[[Path], object]) -> None:
    """Ask for a folder, and do something with it where one is chosen."""
    path = QFileDialog.getExistingDirectory(parent, title)
    if path:
        act(Path(path))


def ask_description(parent: QWidget, act: Callable[[Path], object]) -> None:
    """Ask for a sample's description, likewise."""
    path, _ = QFileDialog.getOpenFileName(parent, "Ingest a sample", filter="Description (*.yaml *.yml)")
    if path:
        act(Path(path))


def agrees(parent: QWidget, title: str, question: str) -> bool:
    """Ask whether something is to be done."""
    return QMessageBox.question(parent, title, question) == _BUTTON.Yes


def agrees_to_remove(parent: QWidget, slices: Sequence[int]) -> bool:
    """Ask whether annotations of slices are to be removed."""
    which = ", ".join(map(str, slices))
    return agrees(
        parent, "Remove annotations", f"Saving removes the annotation of slice {which} from the store.\n\nContinue?"
    )


def wants_to_resume(parent: QWidget, run: str) -> bool | None:
    """Ask whether to resume a stopped training; None cancels."""
    question = (
        f"Training {run} is unfinished.\n\nResume it with its original labels, size and epochs? With No it is kept, "
        "and a new one starts with the current labels."
    )
    answer = QMessageBox.question(parent, "Unfinished training", question, _BUTTON.Yes | _BUTTON.No | _BUTTON.Cancel)
    return None if answer == _BUTTON.Cancel else answer == _BUTTON.Yes


def wants_to_save(parent: QWidget, slices: Sequence[int]) -> bool | None:
    """Ask whether to save labels of slices; None cancels."""
    question = f"Labels of slice {', '.join(map(str, slices))} are not saved.\n\nSave them?"
    answer = QMessageBox.question(parent, "Unsaved labels", question, _BUTTON.Save | _BUTTON.Discard | _BUTTON.Cancel)
    return None if answer == _BUTTON.Cancel else answer == _BUTTON.Save
