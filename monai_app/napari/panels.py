"""The parts of the window that say what slices are for, and which model is trained and applied."""

from collections.abc import Callable
from pathlib import Path

from qtpy.QtWidgets import QComboBox, QGridLayout, QGroupBox, QLabel, QSpinBox, QWidget

from monai_app.napari.buttons import Action
from monai_app.stack import Role

Act = Callable[[], object]

ROLES: dict[str, Role | None] = {"train": "train", "test": "test", "none": None}
"""What a slice may be for, as the window says it."""

_SIZES = ("small", "paper")
_MOST_EPOCHS = 100_000


class StackPanel(QWidget):
    """The stack.

    Args:
        open_store, ingest: are called when somebody asks for it.
    """

    def __init__(self, open_store: Act, ingest: Act) -> None:
        super().__init__()
        self._name = QLabel("no stack")
        self.open = Action("Open ...", "Open an ingested stack, NAME.ome.zarr", open_store)
        self.ingest = Action("Ingest ...", "Make a stack of a sample's description", ingest)
        _grid(self, [(self._name,), (self.open, self.ingest)])

    def show_stack(self, path: Path) -> None:
        """Show which stack it is."""
        self._name.setText(path.name)
        self._name.setToolTip(str(path))


class SlicePanel(QGroupBox):
    """The slice that is shown: what it is for, proposals, saving.

    Args:
        set_role, propose, take, save, reload, least_sure: are called when somebody asks for it.
    """

    def __init__(
        self,
        set_role: Callable[[Role | None], object],
        propose: Act,
        take: Act,
        save: Act,
        reload: Act,
        least_sure: Act,
    ) -> None:
        super().__init__("Slice")
        self.name, self.role = QLabel(), QComboBox()
        self.role.addItems(list(ROLES))
        self.role.setToolTip("What its labels are for: to train on, to test a model, or none: they are not saved")
        self.role.textActivated.connect(lambda text: set_role(ROLES[text]))
        self.propose = Action("Propose", "Propose labels by what is painted so far", propose)
        self.take = Action("Take proposal", "Take the proposal where nothing is painted; Ctrl-Z undoes it", take)
        self.save = Action("Save", "Make all that is painted annotations of the store", save)
        self.reload = Action("Reload", "Leave unsaved changes of this slice, and take what the store has", reload)
        self.least_sure = Action("Least sure slice", "Go to the slice that the model is the least sure of", least_sure)
        _grid(self, [(self.name, self.role), (self.propose, self.take), (self.save, self.reload), (self.least_sure,)])

    def show_slice(self, text: str, role: Role | None) -> None:
        """Show which slice it is, and what it is for."""
        self.name.setText(text)
        self.role.setCurrentText(next(name for name, each in ROLES.items() if each == role))


class ModelPanel(QGroupBox):
    """The model: how it is trained, and what it is applied to.

    Args:
        choose, train, predict_slice, predict_stack: are called when somebody asks for it.
    """

    def __init__(self, choose: Act, train: Act, predict_slice: Act, predict_stack: Act) -> None:
        super().__init__("Model")
        self.name, self._size, self.epochs = QLabel(), QComboBox(), QSpinBox()
        self._size.addItems(_SIZES)
        self._size.setToolTip("Network and steps: small for a CPU, paper for a GPU")
        self.epochs.setRange(0, _MOST_EPOCHS)
        self.epochs.setSpecialValueText("epochs of the size")
        self.epochs.setSuffix(" epochs")
        self.choose = Action("Choose ...", "Choose the run folder of another model", choose)
        self.train = Action("Train", "Save, and train a model on all slices to train on", train)
        self.predict_slice = Action("Predict slice", "Segment this slice with the model", predict_slice)
        self.predict_stack = Action("Predict stack", "Segment all slices with the model", predict_stack)
        rows = [(self._size, self.epochs), (self.train,), (self.name, self.choose)]
        _grid(self, [*rows, (self.predict_slice, self.predict_stack)])

    @property
    def options(self) -> list[str]:
        """The options of ``monai-app train``; without epochs they are those of the size."""
        epochs = self.epochs.value()
        return ["--size", self._size.currentText(), *(["--epochs", str(epochs)] if epochs else [])]

    def show_model(self, model: Path | None) -> None:
        """Show which model is applied."""
        self.name.setText("no model yet" if model is None else f"model {model.name}")
        self.name.setToolTip("" if model is None else str(model))


def _grid(box: QWidget, rows: list[tuple[QWidget, ...]]) -> None:
    grid = QGridLayout(box)
    grid.setContentsMargins(6, 6, 6, 6)
    grid.setSpacing(4)
    for number, row in enumerate(rows):
        for column, widget in enumerate(row):
            grid.addWidget(widget, number, column, 1, 1 if len(row) > 1 else 2)
