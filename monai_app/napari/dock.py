"""The panel's dock in napari: the panel survives closing the dock, and the window asks before it closes."""

from napari.viewer import Viewer
from qtpy.QtCore import QEvent, QObject
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QApplication, QVBoxLayout, QWidget

from monai_app.napari.widget import LabelPanel

_PANELS: list[LabelPanel] = []
"""Those of the viewers that are open: what is painted and what runs outlives a dock that is closed alone."""


class LabelStack(QWidget):
    """The dock "Label a stack" of a viewer.

    Args:
        viewer: the viewer.

    Attributes:
        panel: the viewer's panel, the same in every dock.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        # The viewer comes in a proxy, a new one each time.
        known = [panel for panel in _PANELS if panel.viewer.window == viewer.window]
        self.panel = known[0] if known else LabelPanel(viewer)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.panel)
        self.panel.dock = self  # Qt deletes the panel with the dock that it is in, so that one is kept

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802  # Qt's name
        """Look after the window that it is in from now on."""
        window = self.window()
        if window is not None and self.panel not in _PANELS:
            _PANELS.append(self.panel)
            Guard(window, self.panel)
        super().showEvent(event)


class Guard(QObject):
    """Asks before a window closes over unsaved labels or running work, and ends that work when it is gone.

    Args:
        window: the window.
        panel: says whether it may be left.
    """

    def __init__(self, window: QWidget, panel: LabelPanel) -> None:
        super().__init__(window)
        self._panel = panel
        window.installEventFilter(self)
        window.destroyed.connect(lambda: _forget(panel))
        application = QApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(panel.runner.close_down)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802  # Qt's name
        """Keep the window open where the panel says so; napari may keep it open too, so nothing ends yet."""
        if event is None or event.type() != QEvent.Type.Close or self._panel.may_leave():
            return False
        event.ignore()
        return True


def _forget(panel: LabelPanel) -> None:
    panel.runner.close_down()
    _PANELS.remove(panel)
