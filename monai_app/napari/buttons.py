"""Buttons that explain what they do or why they are disabled, and errors as napari messages."""

from collections.abc import Callable

from napari.utils.notifications import show_error, show_info
from qtpy.QtWidgets import QPushButton

from monai_app.errors import AppError
from monai_app.names import printable
from monai_app.storage import storage_error


class Action(QPushButton):
    """A button.

    Args:
        text: on the button.
        does: what it does, for people who point at it.
        act: is called; its errors are shown.
    """

    def __init__(self, text: str, does: str, act: Callable[[], object]) -> None:
        super().__init__(text)
        self._does = does
        self.setToolTip(does)
        self.clicked.connect(lambda: guarded(act))

    def allow(self, why_not: str | None) -> None:
        """Enable it, or disable it and say why."""
        self.setEnabled(why_not is None)
        self.setToolTip(self._does if why_not is None else f"{self._does}. Not now: {why_not}")


def guarded(act: Callable[[], object]) -> None:
    """Do something, and show what the user can correct."""
    try:
        act()
    except (AppError, OSError) as error:
        tell(error)


def note(text: str) -> None:
    """Show what the user should know."""
    show_info(printable(text))


def tell(error: Exception) -> None:
    """Show an error that the user can correct as a message; raise any other, which is a fault of the program."""
    if isinstance(error, AppError):
        show_error(printable(str(error)))
    elif isinstance(error, OSError):
        show_error(printable(str(storage_error(error))))
    else:
        raise error
