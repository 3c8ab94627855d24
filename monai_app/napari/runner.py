"""Background work: a progress bar, its output, and a button that stops it."""

from collections.abc import Callable
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QThreadPool, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPlainTextEdit, QProgressBar, QVBoxLayout, QWidget

from monai_app.errors import StoppedError
from monai_app.napari.buttons import Action, guarded, tell
from monai_app.napari.jobs import Job, progress_in

_POLL_MS = 300
_ENDING_MS = 10_000
_LINES = 2000
_STEPS = 1000


class Runner(QWidget):
    """Runs one job at a time in a thread, and shows its progress.

    Attributes:
        changed: signal when work begins and ends.
        busy: what is being done; None for nothing.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.busy: str | None = None
        self._job: Job[Any] | None = None
        self._title, self._bar = QLabel(), QProgressBar()
        self._bar.setTextVisible(False)
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(_LINES)
        self.log.setMinimumHeight(60)
        self.stop_button = Action("Stop", "Stop the job; the log shows what is kept", self.stop)
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._poll)
        row = QHBoxLayout()
        row.addWidget(self._bar, 1)
        row.addWidget(self.stop_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._title)
        column.addLayout(row)
        column.addWidget(self.log)
        self._show_state()

    def start(self, title: str, work: Callable[[], Any], done: Callable[[Any], object]) -> None:
        """Begin work in a thread, where none is being done.

        Args:
            title: what it is.
            work: a `Job`, or a function that cannot be stopped.
            done: is given in the window's thread what the work gives; errors are shown.
        """
        self.busy, self._job = title, work if isinstance(work, Job) else None
        worker = create_worker(lambda: work(), _start_thread=False, _ignore_errors=True)
        worker.returned.connect(lambda result: self._end(lambda: done(result)))
        kept = self.kept
        worker.errored.connect(lambda error: self._end(lambda: self._tell(error, kept)))
        self._bar.setRange(0, 0)
        self._timer.start()
        self._show_state()
        worker.start()

    @property
    def kept(self) -> str:
        """What of the work is there after it was stopped, for people."""
        return "nothing is kept" if self._job is None else self._job.kept

    def stop(self) -> None:
        """Kill the job that runs, if one does."""
        if self._job is not None:
            self._job.stop()

    def close_down(self) -> None:
        """Stop the work that is being done, and wait for its end, some seconds at most."""
        self.stop()
        threads = QThreadPool.globalInstance()
        if threads is not None:
            threads.waitForDone(_ENDING_MS)

    def _end(self, then: Callable[[], object]) -> None:
        self._poll()
        self._timer.stop()
        self.busy = self._job = None
        self._bar.setRange(0, _STEPS)
        self._show_state()
        guarded(then)
        self.changed.emit()

    def _tell(self, error: Exception, kept: str) -> None:
        if isinstance(error, StoppedError):
            self.log.appendPlainText(f"{error}: {kept}")
        else:
            tell(error)

    def _poll(self) -> None:
        text = "" if self._job is None else self._job.news()
        if not text:
            return
        self.log.appendPlainText("\n".join(text.splitlines()))
        count = progress_in(text)
        if count is not None and count[1] > 0:
            self._bar.setRange(0, _STEPS)
            self._bar.setValue(round(_STEPS * count[0] / count[1]))

    def _show_state(self) -> None:
        self._title.setText("Idle" if self.busy is None else f"{self.busy} ...")
        self.stop_button.allow(
            "nothing runs" if self.busy is None else None if self._job is not None else "this takes seconds"
        )
        self.changed.emit()
