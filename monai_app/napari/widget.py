"""The panel "Label a stack"; its buttons call the same functions as the command line."""

from pathlib import Path

from napari.viewer import Viewer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from monai_app.errors import OutdatedError
from monai_app.napari import jobs
from monai_app.napari.buttons import note
from monai_app.napari.canvas import Canvas
from monai_app.napari.dialogs import (
    agrees,
    agrees_to_remove,
    ask_description,
    ask_folder,
    wants_to_resume,
    wants_to_save,
)
from monai_app.napari.panels import ModelPanel, Palette, SlicePanel, StackPanel, why_not
from monai_app.napari.runner import Runner
from monai_app.napari.session import Session
from monai_app.proposals import Proposal
from monai_app.stack import Role
from monai_app.temporary import process_folder

_REST_MS = 100


class LabelPanel(QWidget):
    """Labels one stack at a time: paint, propose, save, train, predict.

    Args:
        viewer: the viewer that shows it.

    Attributes:
        canvas: the stack and its layers; None before one is opened.
        model: is applied; None before there is one.
        dock: the panel is in it.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.canvas: Canvas | None = None
        self.model: jobs.Model | None = None
        self.dock: QWidget | None = None
        self._logs = 0
        self._soon = QTimer(self)  # what is painted is looked at when the hand rests
        self._soon.setSingleShot(True)
        self._soon.setInterval(_REST_MS)
        self._soon.timeout.connect(self.refresh)
        self.phases, self.runner = Palette(), Runner()
        self.stack = StackPanel(
            lambda: ask_folder(self, "Open an ingested stack (NAME.ome.zarr)", self.open),
            lambda: ask_description(self, self.ingest),
        )
        self.slice = SlicePanel(
            self.set_role, self.propose, self.take, self.save, self.reload, self.go_to_most_uncertain
        )
        self.models = ModelPanel(
            lambda: ask_folder(self, "Choose the run folder of a model", self.choose_model),
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
        viewer.dims.events.point.connect(self.refresh)
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
        """Ingest a sample, and open the stack; an existing one is replaced only after confirmation."""
        store = jobs.store_of(description)
        question = f"{store.name} exists already.\n\nReplace it, with all annotations and predictions in it?"
        if not store.exists() or agrees(self, "Ingested already", question):
            job = jobs.ingest(description, self._log(), overwrite=store.exists())
            self.runner.start("ingest", job, self.open)

    def open(self, path: Path) -> None:
        """Open a stack in place of the current one, after its changes are saved or discarded."""
        self.runner.start(f"open {path.name}", lambda: jobs.opened(path), self._opened)

    def set_role(self, role: Role | None) -> None:
        """Set the role of the slice."""
        self._session.set_role(self.z, role)
        self.refresh()

    def propose(self) -> None:
        """Propose labels of the slice, in a separate layer."""
        work = self._session.proposal(self.z)
        self.runner.start(f"propose labels of slice {self.z}", work, self._proposed)

    def take(self) -> None:
        """Paint the proposal where nothing is painted yet."""
        self._canvas.take()
        self.refresh()

    def save(self) -> bool:
        """Save all changes; annotations are removed, and those of others replaced, only after confirmation.

        Returns:
            Whether it is saved.
        """
        removed = self._session.removed
        if removed and not agrees_to_remove(self, removed):
            return False
        try:
            self._session.save()
        except OutdatedError as error:
            if not agrees(self, "Annotated by another person", f"{error}.\n\nReplace their annotation?"):
                return False
            self._session.save(overwrite=True)
        self._changed()
        return True

    def reload(self) -> None:
        """Discard changes of the slice, and show the stored annotation."""
        self._session.reload(self.z)
        self._changed()

    def train(self) -> None:
        """Save, and train a model, or resume an unfinished training after confirmation."""
        if not self.save():
            return
        stopped = jobs.stopped_training(self._session.stack)
        resume = False if stopped is None else wants_to_resume(self, stopped)
        if resume is not None:
            job = jobs.train(self._session.stack, self.models.options, self._log(), resume=resume)
            self.runner.start("train", job, self.choose_model)

    def choose_model(self, path: Path) -> None:
        """Apply the model of a run folder or file from now on."""
        self.runner.start(f"open {path.name}", lambda: jobs.Model.at(path), self._chosen)

    def predict(self, z: int | None) -> None:
        """Segment a slice, or all of them, with the model."""
        assert self.model is not None
        stack = self._session.stack
        done = z is None and self.model.labels in stack.label_names()
        question = f"Model {self.model.path.name} has segmented the stack already.\n\nDo it again and replace that?"
        if not done or agrees(self, "Segmented already", question):
            job = jobs.predict(stack, self.model, z, self._log(), overwrite=done)
            self.runner.start("segment" if z is None else f"segment slice {z}", job, self._canvas.show_prediction)

    def go_to_most_uncertain(self) -> None:
        """Go to the unlabelled slice on which the model is least certain."""
        assert self.model is not None
        canvas, labels, z = self._canvas, self.model.labels, self.z
        self.runner.start("rank the slices", lambda: canvas.session.most_uncertain(labels, z), canvas.go_to)

    def may_leave(self) -> bool:
        """Whether the stack may be left: what is not saved, or not finished, is asked about."""
        changed = [] if self.session is None else self.session.changed
        if changed:
            save = wants_to_save(self, changed)
            if save is None or (save and not self.save()):
                return False
        busy = f"{self.runner.busy} is not finished. Closing stops it: {self.runner.kept}.\n\nClose?"
        return self.runner.busy is None or agrees(self, "Not finished", busy)

    def refresh(self, *_: object) -> None:
        """Show the slice and its role, and which buttons may be used."""
        running = None if self.runner.busy is None else f"{self.runner.busy} is not finished"
        for button in (self.stack.open, self.stack.ingest, self.models.choose):
            button.allow(running)
        self.models.show_model(self.model)
        self.slice.show_slice(self.canvas)
        for button, reason in why_not(self.slice, self.models, self.canvas, self.model, running).items():
            button.allow(reason)

    @property
    def _canvas(self) -> Canvas:
        assert self.canvas is not None
        return self.canvas

    @property
    def _session(self) -> Session:
        return self._canvas.session

    def _opened(self, found: tuple[Session, jobs.Model | None]) -> None:
        if not self.may_leave():  # asked here, since the person may have painted while it was opened
            return
        before, self.canvas = self.canvas, None
        if before is not None:
            before.remove()
        session, self.model = found
        self.canvas = Canvas(self.viewer, session)
        stack = session.stack
        self.stack.show_stack(stack)
        self.phases.show_phases(stack.phases)
        self._canvas.on_change(self._soon.start)
        self._canvas.annotation.events.selected_label.connect(
            lambda event: self.phases.choose(event.source.selected_label)
        )
        self._canvas.paint_with(stack.phases[0].value)

    def _proposed(self, proposal: Proposal) -> None:
        self._canvas.propose(proposal)
        if proposal.missing:
            names = ", ".join(phase.name for phase in proposal.missing)
            note(f"nothing is painted of {names}, so the proposal of slice {proposal.z} does not contain it")

    def _chosen(self, model: jobs.Model) -> None:
        self.model = model
        self.refresh()

    def _changed(self) -> None:
        self._canvas.refresh()
        self.refresh()

    def _log(self) -> Path:
        self._logs += 1
        return process_folder("napari") / f"{self._logs}.log"
