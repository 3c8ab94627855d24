"""The window "Label a stack": every button calls what the command line calls too."""

from pathlib import Path

from napari.viewer import Viewer
from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QVBoxLayout, QWidget

from monai_app.errors import OutdatedError
from monai_app.napari import jobs
from monai_app.napari.buttons import Action
from monai_app.napari.canvas import Canvas
from monai_app.napari.dialogs import agrees, ask_description, ask_folder, wants_to_save
from monai_app.napari.palette import Palette
from monai_app.napari.panels import ModelPanel, SlicePanel, StackPanel
from monai_app.napari.runner import Runner
from monai_app.napari.session import Session
from monai_app.stack import Role
from monai_app.temporary import process_folder

_REST_MS = 100


class LabelStack(QWidget):
    """Labels one stack at a time: paint, propose, save, train, predict.

    Args:
        viewer: the viewer that shows it.

    Attributes:
        canvas: the stack and its layers; None before one is opened.
        model: the run folder or file that is applied.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.viewer, self.canvas = viewer, Canvas.find(viewer)
        self.model: Path | None = None
        self._logs = 0
        self._guards = False
        self._soon = QTimer(self)  # what is painted is looked at when the hand rests
        self._soon.setSingleShot(True)
        self._soon.setInterval(_REST_MS)
        self._soon.timeout.connect(self.refresh)
        self.phases, self.runner = Palette(), Runner()
        self.stack = StackPanel(
            lambda: ask_folder(self, "Open an ingested stack (NAME.ome.zarr)", self.open),
            lambda: ask_description(self, self.ingest),
        )
        self.slice = SlicePanel(self.set_role, self.propose, self.take, self.save, self.reload, self.go_to_least_sure)
        self.models = ModelPanel(
            lambda: ask_folder(self, "Choose the run folder of a model", self.take_model),
            self.train,
            lambda: self.predict(self.z),
            lambda: self.predict(None),
        )
        column = QVBoxLayout(self)
        for part in (self.stack, self.phases, self.slice, self.models):
            column.addWidget(part)
        column.addWidget(self.runner, 1)
        self.phases.chosen.connect(lambda value: self._canvas.paint_with(value))
        self.runner.changed.connect(self.refresh)
        viewer.dims.events.current_step.connect(self.refresh)
        if self.canvas is not None:
            self._show_stack()
        self.refresh()

    @property
    def session(self) -> Session | None:
        """The stack; None before one is opened."""
        return None if self.canvas is None else self.canvas.session

    @property
    def z(self) -> int:
        """The slice that is shown."""
        return self._canvas.z

    def ingest(self, description: Path) -> None:
        """Ingest a sample, and open the stack; one that is there is replaced only if the person says so."""
        store = jobs.store_of(description)
        question = f"{store.name} exists already.\n\nReplace it, with all annotations and predictions in it?"
        if not store.exists() or agrees(self, "Ingested already", question):
            job = jobs.ingest(description, self._log(), overwrite=store.exists())
            self.runner.start("ingest", job, self.open)

    def open(self, path: Path) -> None:
        """Open a stack in place of the one before, once what was painted there is saved or given up."""
        if self.may_leave():
            self.runner.start(f"open {path.name}", lambda: jobs.opened(path), self._opened)

    def set_role(self, role: Role | None) -> None:
        """Say what the slice is for."""
        self._session.set_role(self.z, role)
        self.refresh()

    def propose(self) -> None:
        """Propose labels of the slice, in a layer of their own."""
        canvas, z = self._canvas, self.z
        self.runner.start(
            f"propose labels of slice {z}",
            lambda: canvas.session.propose(z),
            lambda proposal: canvas.propose(z, proposal.labels),
        )

    def take(self) -> None:
        """Paint the proposal where nothing is painted yet."""
        self._canvas.take()
        self.refresh()

    def save(self) -> bool:
        """Save all that was changed; what somebody else changed meanwhile is replaced only if the person says so.

        Returns:
            Whether it is saved.
        """
        try:
            self._session.save()
        except OutdatedError as error:
            if not agrees(self, "Annotated by somebody else", f"{error}.\n\nReplace their annotation?"):
                return False
            self._session.save(overwrite=True)
        self._changed()
        return True

    def reload(self) -> None:
        """Give up what was changed on the slice, and show what the store has."""
        self._session.reload(self.z)
        self._changed()

    def train(self) -> None:
        """Save, and train a model, which is applied from then on."""
        if self.save():
            job = jobs.train(self._session.stack, self.models.options, self._log())
            self.runner.start("train", job, self.take_model)

    def take_model(self, model: Path) -> None:
        """Apply a model from now on."""
        self.model = model
        self.refresh()

    def predict(self, z: int | None) -> None:
        """Segment a slice, or all of them, with the model."""
        assert self.model is not None
        stack = self._session.stack
        done = z is None and jobs.labels_name(self.model, None) in stack.label_names()
        question = f"Model {self.model.name} has segmented the stack already.\n\nDo it again and replace that?"
        if not done or agrees(self, "Segmented already", question):
            job = jobs.predict(stack, self.model, z, self._log(), overwrite=done)
            self.runner.start("segment" if z is None else f"segment slice {z}", job, self._canvas.show_prediction)

    def go_to_least_sure(self) -> None:
        """Go to the slice, of those without labels, that the model is the least sure of."""
        assert self.model is not None
        canvas, labels, z = self._canvas, jobs.labels_name(self.model, None), self.z
        self.runner.start("rank the slices", lambda: canvas.session.least_sure(labels, z), canvas.go_to)

    def may_leave(self) -> bool:
        """Whether the stack may be left: what is not saved, or not finished, is asked about."""
        changed = [] if self.session is None else self.session.changed
        if changed:
            save = wants_to_save(self, changed)
            if save is None or (save and not self.save()):
                return False
        busy = f"{self.runner.busy} is not finished. Closing stops it; asked for again, it goes on.\n\nClose?"
        return self.runner.busy is None or agrees(self, "Not finished", busy)

    def refresh(self, *_: object) -> None:
        """Show the slice and its role, and which buttons may be used."""
        running = None if self.runner.busy is None else f"{self.runner.busy} is not finished"
        for button in (self.stack.open, self.stack.ingest, self.models.choose):
            button.allow(running)
        self.models.show_model(self.model)
        self.slice.role.setEnabled(self.session is not None)
        self.slice.show_slice(*self._slice())
        for button, reason in self._reasons(running).items():
            button.allow(reason)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802  # Qt's name
        """Look at whether the window is closed over unsaved labels."""
        window = self.window()
        if window is not None and not self._guards:
            self._guards = True
            window.installEventFilter(self)
        super().showEvent(event)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802  # Qt's name
        """Keep the window open where `may_leave` says so."""
        if event is None or event.type() != QEvent.Type.Close:
            return False
        if self.may_leave():
            self.runner.close_down()
            return False
        event.ignore()
        return True

    @property
    def _canvas(self) -> Canvas:
        assert self.canvas is not None
        return self.canvas

    @property
    def _session(self) -> Session:
        return self._canvas.session

    def _opened(self, found: tuple[Session, Path | None]) -> None:
        before, self.canvas = self.canvas, None
        if before is not None:
            before.remove()
        session, self.model = found
        self.canvas = Canvas(self.viewer, session)
        self._show_stack()

    def _show_stack(self) -> None:
        stack = self._session.stack
        self.stack.show_stack(stack.path)
        self.phases.show_phases(stack.phases)
        self._canvas.on_change(self._soon.start)
        self._canvas.annotation.events.selected_label.connect(
            lambda event: self.phases.choose(event.source.selected_label)
        )
        self._canvas.paint_with(stack.phases[0].value)

    def _changed(self) -> None:
        self._canvas.refresh()
        self.refresh()

    def _log(self) -> Path:
        self._logs += 1
        return process_folder("napari") / f"{self._logs}.log"

    def _slice(self) -> tuple[str, Role | None]:
        if self.session is None:
            return "no slice", None
        stack, z = self.session.stack, self.z
        return f"{z} of {stack.shape[0] - 1}: {stack.slice_names[z]}", self.session.role(z)

    def _reasons(self, running: str | None) -> dict[Action, str | None]:
        """Of every button that needs a stack why it cannot be used, or None."""
        panel, models = self.slice, self.models
        buttons = (panel.propose, panel.take, panel.save, panel.reload, panel.least_sure)
        more = (models.train, models.predict_slice, models.predict_stack)
        if self.session is None:
            return dict.fromkeys((*buttons, *more), "open a stack first")
        session, z = self.session, self.z
        model = "train a model first, or choose one" if self.model is None else None
        ranking = model if self.model is None else session.why_no_ranking(jobs.labels_name(self.model, None))
        return {
            panel.propose: running or session.why_no_proposal(z),
            panel.take: None if self._canvas.proposed.plane(z).any() else "nothing is proposed for this slice",
            panel.save: None if session.changed else "nothing was changed",
            panel.reload: None,
            panel.least_sure: running or ranking,
            models.train: running or session.why_no_training(),
            models.predict_slice: running or model,
            models.predict_stack: running or model,
        }
