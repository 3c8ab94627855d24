"""The parts of the window: phases, roles of slices, and the model that is trained and applied."""

from collections.abc import Callable, Sequence

from qtpy.QtCore import QSize, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QGridLayout,
    QGroupBox,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from monai_app.domain.phase import UNLABELLED, Phase
from monai_app.napari.buttons import Action
from monai_app.napari.canvas import Canvas
from monai_app.napari.jobs import Model
from monai_app.stack import Role, Stack

Act = Callable[[], object]

ROLES: dict[str, Role | None] = {"train": "train", "test": "test", "none": None}
"""Names of the roles in the window."""

_SIZES = ("small", "paper")
_MOST_EPOCHS = 100_000
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


class StackPanel(QWidget):
    """The stack.

    Args:
        open_store, ingest: called on request.
    """

    def __init__(self, open_store: Act, ingest: Act) -> None:
        super().__init__()
        self._name = QLabel("no stack")
        self.open = Action("Open ...", "Open an ingested stack, NAME.ome.zarr", open_store)
        self.ingest = Action("Ingest ...", "Create a stack from a sample's description", ingest)
        _grid(self, [(self._name,), (self.open, self.ingest)])

    def show_stack(self, stack: Stack) -> None:
        """Show which stack it is."""
        self._name.setText(stack.path.name)
        self._name.setToolTip(str(stack.path))


class SlicePanel(QGroupBox):
    """The slice that is shown: what it is for, proposals, saving.

    Args:
        set_role, propose, take, save, reload, most_uncertain: called on request.
    """

    def __init__(
        self,
        set_role: Callable[[Role | None], object],
        propose: Act,
        take: Act,
        save: Act,
        reload: Act,
        most_uncertain: Act,
    ) -> None:
        super().__init__("Slice")
        self.name, self.role = QLabel(), QComboBox()
        self.role.addItems(list(ROLES))
        self.role.setToolTip(
            "Role of its labels: training, testing, or none, with which Save removes its annotation from the store"
        )
        self.role.textActivated.connect(lambda text: set_role(ROLES[text]))
        self.propose = Action("Propose", "Propose labels from the strokes painted so far", propose)
        self.take = Action("Take proposal", "Accept the proposal where nothing is painted; Ctrl-Z undoes it", take)
        self.save = Action("Save", "Save everything painted as annotations of the store", save)
        self.reload = Action("Reload", "Discard unsaved changes of this slice, and reload it from the store", reload)
        self.most_uncertain = Action(
            "Least certain slice", "Go to the slice on which the model is least certain", most_uncertain
        )
        _grid(
            self, [(self.name, self.role), (self.propose, self.take), (self.save, self.reload), (self.most_uncertain,)]
        )

    def show_slice(self, canvas: Canvas | None) -> None:
        """Show which slice it is, and what it is for."""
        self.role.setEnabled(canvas is not None)
        role = None
        if canvas is None:
            self.name.setText("no slice")
        else:
            stack, z, role = canvas.session.stack, canvas.z, canvas.session.role(canvas.z)
            self.name.setText(f"{z} of {stack.shape[0] - 1}: {stack.slice_names[z]}")
        self.role.setCurrentText(next(name for name, each in ROLES.items() if each == role))


class ModelPanel(QGroupBox):
    """The model: how it is trained, and what it is applied to.

    Args:
        choose, train, predict_slice, predict_stack: called on request.
    """

    def __init__(self, choose: Act, train: Act, predict_slice: Act, predict_stack: Act) -> None:
        super().__init__("Model")
        self.name, self._size, self.epochs = QLabel(), QComboBox(), QSpinBox()
        self._size.addItems(_SIZES)
        self._size.setToolTip("Network and steps: small for a CPU, paper for a GPU")
        self.epochs.setRange(0, _MOST_EPOCHS)
        self.epochs.setSpecialValueText("default epochs")
        self.epochs.setSuffix(" epochs")
        self.choose = Action("Choose ...", "Choose the run folder of another model", choose)
        self.train = Action("Train", "Save, and train a model on all training slices", train)
        self.predict_slice = Action("Predict slice", "Segment this slice with the model", predict_slice)
        self.predict_stack = Action("Predict stack", "Segment all slices with the model", predict_stack)
        rows = [(self._size, self.epochs), (self.train,), (self.name, self.choose)]
        _grid(self, [*rows, (self.predict_slice, self.predict_stack)])

    @property
    def options(self) -> list[str]:
        """The options of ``monai-app train``; without epochs they are those of the size."""
        epochs = self.epochs.value()
        return ["--size", self._size.currentText(), *(["--epochs", str(epochs)] if epochs else [])]

    def show_model(self, model: Model | None) -> None:
        """Show which model is applied."""
        self.name.setText("no model yet" if model is None else f"model {model.path.name}")
        self.name.setToolTip("" if model is None else str(model.path))


def why_not(
    slices: SlicePanel, models: ModelPanel, canvas: Canvas | None, model: Model | None, running: str | None
) -> dict[Action, str | None]:
    """Of every button that needs a stack why it cannot be used, or None.

    Args:
        slices: has buttons.
        models: has the others.
        canvas: the stack; None before one is opened.
        model: is applied; None before there is one.
        running: what is being done; None for nothing.
    """
    buttons = (slices.propose, slices.take, slices.save, slices.reload, slices.most_uncertain)
    more = (models.train, models.predict_slice, models.predict_stack)
    if canvas is None:
        return dict.fromkeys((*buttons, *more), "open a stack first")
    session, z = canvas.session, canvas.z
    no_model = "train a model first, or choose one" if model is None else None
    ranking = no_model if model is None else session.why_no_ranking(model.labels)
    return {
        slices.propose: running or session.why_no_proposal(z),
        slices.take: session.why_not_take(z, canvas.proposed.plane(z)),
        slices.save: None if session.changed else "nothing was changed",
        slices.reload: None,
        slices.most_uncertain: running or ranking,
        models.train: running or session.why_no_training(),
        models.predict_slice: running or no_model,
        models.predict_stack: running or no_model,
    }


def _grid(box: QWidget, rows: list[tuple[QWidget, ...]]) -> None:
    grid = QGridLayout(box)
    grid.setContentsMargins(6, 6, 6, 6)
    grid.setSpacing(4)
    for number, row in enumerate(rows):
        for column, widget in enumerate(row):
            grid.addWidget(widget, number, column, 1, 1 if len(row) > 1 else 2)
