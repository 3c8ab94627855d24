"""From raw TIFFs to a trained model without a typed command, and everything else that the window does."""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from napari.utils.notifications import notification_manager
from npe2 import PluginManifest
from pytestqt.qtbot import QtBot
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QFileDialog, QMessageBox, QPushButton
from scipy.ndimage import median_filter

import monai_app.napari
from monai_app.background import command
from monai_app.background.child import COMMAND
from monai_app.napari.dock import Guard, LabelStack
from monai_app.napari.jobs import Job
from monai_app.napari.panels import ModelPanel
from monai_app.napari.widget import LabelPanel
from monai_app.stack import Stack, annotate
from monai_app.stack.discovery import write_description
from tests.conftest import SAMPLE, TINY, as_options, write_tiny_sample

SECONDS = 240
PHASES = SAMPLE[SAMPLE.index("phases:") : SAMPLE.index("annotations:")]
TINY_EPOCH = {name: value for name, value in TINY.items() if name != "max_epochs"}
"""Settings of a training that takes seconds; the number of epochs is chosen in the window."""

ASK = QMessageBox.StandardButton


class Window:
    """The window as a person uses it: buttons are clicked, strokes painted, questions answered.

    Attributes:
        asked: the questions so far.
        answer: what the next ones are answered with.
        chosen: what the next file dialog gives.
    """

    def __init__(self, viewer: Any, widget: LabelPanel, bot: QtBot) -> None:
        self.viewer, self.widget, self.bot = viewer, widget, bot
        self.asked: list[str] = []
        self.answer = ASK.Cancel
        self.chosen = Path()

    def click(self, button: QPushButton) -> None:
        self.bot.waitUntil(button.isEnabled, timeout=SECONDS * 1000)
        button.click()
        self.bot.waitUntil(lambda: self.widget.runner.busy is None, timeout=SECONDS * 1000)

    def paint(self, z: int, value: int, row: int, column: int, size: int = 7) -> None:
        """Choose a phase and paint a dot, as a click of the mouse does."""
        self.viewer.dims.set_current_step(0, z)
        (button,) = [each for each in self.widget.phases.findChildren(QPushButton) if each.text()[0] == str(value)]
        self.click(button)
        layer = self.viewer.layers["annotation"]
        assert (layer.mode, layer.selected_label) == ("paint", value)
        layer.brush_size = size
        layer.paint((z, row, column), layer.selected_label)

    def stored(self) -> Stack:
        assert self.widget.session is not None
        return Stack.open(self.widget.session.stack.path)


@pytest.fixture
def window(make_napari_viewer: Callable[[], Any], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Window:
    monkeypatch.setattr(command, "COMMAND", (os.environ["WARM_PYTHON"], *COMMAND[1:]))
    options: Any = ModelPanel.__dict__["options"].fget
    monkeypatch.setattr(ModelPanel, "options", property(lambda panel: [*options(panel), *as_options(TINY_EPOCH)]))
    manifest = PluginManifest.from_file(Path(monai_app.napari.__file__).with_name("napari.yaml"))
    assert manifest.contributions.widgets is not None
    (contribution,) = manifest.contributions.widgets
    (contributed,) = manifest.contributions.commands or []
    assert contribution.command == contributed.id
    assert contributed.python_name == f"{LabelStack.__module__}:{LabelStack.__name__}"
    viewer = make_napari_viewer()
    dock = LabelStack(viewer)
    viewer.window.add_dock_widget(dock, name=contribution.display_name)
    dock.show()
    found = Window(viewer, dock.panel, qtbot)

    def answer(_: object, title: str, text: str, *buttons: object) -> object:
        found.asked.append(text)
        return found.answer

    monkeypatch.setattr(QMessageBox, "question", answer)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(found.chosen))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(found.chosen), ""))
    return found


def shown_errors() -> list[str]:
    return [each.message for each in notification_manager.records]


def describe(folder: Path) -> Path:
    """Raw TIFFs without labels, and what ``monai-app init`` writes of them, with its question answered."""
    write_tiny_sample(folder / "raw").unlink()
    shutil.rmtree(folder / "raw" / "annotations")
    description = folder / "sample.yaml"
    write_description([folder / "raw"], description, overwrite=False, report=lambda _: None)
    lines = [line for line in description.read_text().splitlines() if "# ?" not in line]
    answered = "\n".join(lines).replace("{z: , y: , x: }", "{z: 20, y: 10, x: 10}")
    description.write_text(f"{answered}\n{PHASES}")
    return description


def test_from_raw_images_to_a_trained_model(window: Window, tmp_path: Path) -> None:
    widget, viewer = window.widget, window.viewer
    assert not widget.slice.propose.isEnabled()
    assert "open a stack first" in widget.slice.propose.toolTip()

    window.chosen = describe(tmp_path)
    window.click(widget.stack.ingest)
    assert [layer.name for layer in viewer.layers] == ["ICE", "TLD", "proposal", "annotation"]
    assert widget.models.train.toolTip().endswith("Not now: label a slice to train on first")

    truth = truth_of(tmp_path)
    for z in (1, 5):
        for value in (1, 2, 3):
            rows, columns = np.nonzero(truth[z] == value)
            for place in (len(rows) // 4, 3 * len(rows) // 4):
                window.paint(z, value, int(rows[place]), int(columns[place]), 5)
    painted = viewer.layers["annotation"].data.plane(5).copy()
    assert set(np.unique(painted)) == {0, 1, 2, 3}
    window.bot.waitUntil(lambda: widget.slice.role.currentText() == "train")
    viewer.layers["annotation"].undo()
    assert (viewer.layers["annotation"].data.plane(5) != painted).any()
    viewer.layers["annotation"].redo()

    window.click(widget.slice.propose)
    proposal = widget.canvas.proposed.plane(5).copy() if widget.canvas else painted
    assert (proposal == truth[5]).mean() > 0.8
    window.click(widget.slice.take)
    taken = viewer.layers["annotation"].data.plane(5)
    np.testing.assert_array_equal(taken, np.where(painted > 0, painted, proposal))
    viewer.layers["annotation"].undo()
    np.testing.assert_array_equal(taken, painted)
    viewer.layers["annotation"].redo()
    saved = taken.copy()

    window.paint(6, 2, 40, 40)
    widget.slice.role.setCurrentText("test")
    widget.slice.role.textActivated.emit("test")
    assert "it is a test slice" in widget.slice.propose.toolTip()
    window.click(widget.slice.save)
    assert not widget.slice.save.isEnabled()
    stack = window.stored()
    assert (stack.train_slices, stack.test_slices) == ((1, 5), (6,))
    np.testing.assert_array_equal(stack.read_annotation(5), saved)

    widget.models.epochs.setValue(1)
    window.click(widget.models.train)
    assert widget.model is not None, shown_errors()
    assert widget.model.path == tmp_path / "sample_runs" / "0001"
    labels = widget.model.labels
    assert "epoch 1/1" in widget.runner.log.toPlainText()

    window.click(widget.models.predict_slice)
    assert window.stored().label_slices(f"{labels}_slice") == [6]
    window.click(widget.models.predict_stack)
    assert {labels, f"{labels} confidence"} <= {layer.name for layer in viewer.layers}
    np.testing.assert_array_equal(np.asarray(viewer.layers[labels].data[3]), window.stored().read_labels(labels, 3))
    window.answer = ASK.No
    window.click(widget.models.predict_stack)
    assert "has segmented the stack already" in window.asked.pop()
    window.click(widget.slice.most_uncertain)
    assert widget.z not in stack.roles

    somebody_else_annotates(window)
    leaving(window, tmp_path)
    assert shown_errors() == []


def truth_of(folder: Path) -> npt.NDArray[np.uint8]:
    """The phases of the images, (slices, rows, columns), as grey values tell them: pores in ICE, clinker in TLD."""
    stack = Stack.open(folder / "sample.ome.zarr")
    ice, tld = (
        np.stack([median_filter(stack.read_slab(z, [name], 1)[0], 7) for z in range(stack.shape[0])])
        for name in ("ICE", "TLD")
    )
    return np.where(tld > 100, 3, np.where(ice < 85, 1, 2)).astype(np.uint8)


def somebody_else_annotates(window: Window) -> None:
    """What came meanwhile is not overwritten unasked."""
    widget = window.widget
    window.paint(2, 1, 10, 10)
    theirs = np.full((96, 80), 3, np.uint8)
    annotate(window.stored(), {2: theirs}, source="server")
    window.answer = ASK.No
    window.click(widget.slice.save)
    assert "annotated by server" in window.asked.pop()
    np.testing.assert_array_equal(window.stored().read_annotation(2), theirs)
    window.answer = ASK.Yes
    window.click(widget.slice.save)
    assert window.stored().annotated_by(2) == "napari"
    assert "annotated by server" in window.asked.pop()

    widget.slice.role.textActivated.emit("none")
    window.answer = ASK.No
    window.click(widget.slice.save)
    assert "removes the annotation of slice 2 from the store" in window.asked.pop()
    assert window.stored().roles[2] == "train"
    window.click(widget.slice.reload)


def leaving(window: Window, folder: Path) -> None:
    """Unsaved labels keep the window open, and the stack, until somebody says what becomes of them."""
    widget, viewer = window.widget, window.viewer
    viewer.window._qt_window.show()
    window.chosen = folder / "sample.ome.zarr"
    window.answer = ASK.Cancel
    widget.stack.open.click()
    viewer.layers["annotation"].paint((3, 10, 10), 1)  # while the stack is opened again
    window.bot.waitUntil(lambda: widget.runner.busy is None, timeout=SECONDS * 1000)
    assert "slice 3 are not saved" in window.asked.pop()
    viewer.window._qt_window.close()
    assert viewer.window._qt_window.isVisible()
    assert "slice 3 are not saved" in window.asked.pop()
    window.click(widget.stack.open)
    assert widget.session is not None
    assert widget.session.changed == [3]

    viewer.window.remove_dock_widget(widget.dock)  # the panel is closed alone, and opened again
    again = LabelStack(viewer)
    viewer.window.add_dock_widget(again, name="again")
    window.bot.wait(10)
    assert again.panel is widget
    assert widget.isVisible()
    assert widget.session.changed == [3]
    window.answer = ASK.Save
    window.click(widget.stack.open)
    assert window.stored().roles[3] == "train"
    assert widget.model is not None
    assert widget.model.path == folder / "sample_runs" / "0001"
    assert [layer.name for layer in viewer.layers].count("annotation") == 1
    window.asked.clear()
    work_outlives_a_close_that_napari_refuses(window, folder)


def work_outlives_a_close_that_napari_refuses(window: Window, folder: Path) -> None:
    """What runs is asked about when the window is to be closed, and ends when it is gone."""
    stopped = threading.Event()
    told: list[None] = []

    def work(job: Job[None]) -> None:
        stopped.wait(SECONDS)

    job = Job(folder / "log", "nothing is kept", work)
    job.stop = stopped.set  # type: ignore[method-assign]
    window.widget.runner.start("wait", job, told.append)
    window.answer = ASK.Yes
    # The window itself is not closed here, since napari's fixture closes it; others look at the event after the panel.
    guard = window.viewer.window._qt_window.findChild(Guard)
    assert not guard.eventFilter(window.viewer.window._qt_window, QCloseEvent())
    assert "wait is not finished. Closing stops it: nothing is kept." in window.asked.pop()
    assert not stopped.is_set()
    window.widget.runner.close_down()
    assert stopped.is_set()
    window.bot.waitUntil(lambda: told == [None])
