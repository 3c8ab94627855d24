"""What the window asks a person."""

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
        parent, "Remove annotations", f"Saving takes the annotation of slice {which} out of the store.\n\nDo it?"
    )


def wants_to_resume(parent: QWidget, run: str) -> bool | None:
    """Ask whether a stopped training is to go on; None where nothing is to be trained."""
    question = (
        f"Training {run} has not ended.\n\nResume it, on the labels, size and epochs that it began with? With "
        "No it is kept, and a new one begins on the current labels."
    )
    answer = QMessageBox.question(parent, "Unfinished training", question, _BUTTON.Yes | _BUTTON.No | _BUTTON.Cancel)
    return None if answer == _BUTTON.Cancel else answer == _BUTTON.Yes


def wants_to_save(parent: QWidget, slices: Sequence[int]) -> bool | None:
    """Ask whether labels of slices are to be saved; None where they are neither to be saved nor given up."""
    question = f"Labels of slice {', '.join(map(str, slices))} are not saved.\n\nSave them?"
    answer = QMessageBox.question(parent, "Unsaved labels", question, _BUTTON.Save | _BUTTON.Discard | _BUTTON.Cancel)
    return None if answer == _BUTTON.Cancel else answer == _BUTTON.Save
