"""The phases as buttons with their colours and names: the one that is chosen is painted."""

from collections.abc import Sequence

from qtpy.QtCore import QSize, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QButtonGroup, QPushButton, QVBoxLayout, QWidget

from monai_app.domain.phase import UNLABELLED, Phase

_SIDE = 18


class Palette(QWidget):
    """A column of buttons, one a phase, and one that erases.

    Attributes:
        chosen: signal with the value of the phase, 0 to erase.
    """

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self._buttons = QButtonGroup(self)
        self._buttons.idClicked.connect(self.chosen.emit)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(2)

    def show_phases(self, phases: Sequence[Phase]) -> None:
        """Show these phases in place of those before, with the first one chosen."""
        for button in self._buttons.buttons():
            self._buttons.removeButton(button)
            button.deleteLater()
        for phase in phases:
            self._add(phase.value, f"{phase.value}  {phase.name}", QColor(*phase.rgb))
        self._add(UNLABELLED, "0  erase", QColor(0, 0, 0, 0))
        self.choose(phases[0].value)

    def choose(self, value: int) -> None:
        """Mark the button of a phase, if there is one."""
        button = self._buttons.button(value)
        if button is not None:
            button.setChecked(True)

    def _add(self, value: int, text: str, colour: QColor) -> None:
        pixels = QPixmap(_SIDE, _SIDE)
        pixels.fill(colour)
        button = QPushButton(QIcon(pixels), text)
        button.setIconSize(QSize(_SIDE, _SIDE))
        button.setCheckable(True)
        button.setStyleSheet("text-align: left; padding: 3px 6px;")
        button.setToolTip("Erase labels" if value == UNLABELLED else "Paint this phase")
        self._buttons.addButton(button, value)
        self._column.addWidget(button)
