"""The layers of a stack during labelling, in a napari viewer."""

from collections.abc import Callable

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Layer

from monai_app.napari.planes import Planes
from monai_app.napari.session import Session
from monai_app.proposals import Proposal
from monai_app.viewer.layers import LayerData, napari_layers, phase_options, space

ANNOTATION, PROPOSAL = "annotation", "proposal"
"""Names of the layers that are painted on, and that proposals are in."""

_KEY = "monai_app"
"""Of a layer's metadata: the canvas that it belongs to."""

_Z = -3
"""The axis of the slices among those of the viewer, which other layers may add some before."""


class Canvas:
    """Detectors, annotation, proposals and predictions of a stack as layers.

    Args:
        viewer: gets the layers.
        session: the stack.
    """

    def __init__(self, viewer: ViewerModel, session: Session) -> None:
        self.viewer, self.session = viewer, session
        shape = session.stack.shape
        self.proposed = Planes(shape, lambda _: np.zeros(shape[1:], np.uint8))
        options = {**space(session.stack), **phase_options(session.stack.phases)}
        detectors = len(session.stack.detectors)
        for number, (array, shown, kind) in enumerate(napari_layers(session.stack, session.stack.label_names())):
            self._add((array, shown if number < detectors else {**shown, "visible": False}, kind))
        self.proposal = self._add((self.proposed, {**options, "name": PROPOSAL, "opacity": 0.4}, "labels"))
        self.annotation: Labels = self._add((session.labels, {**options, "name": ANNOTATION}, "labels"))
        self.go_to(session.stack.example_slice)

    @property
    def z(self) -> int:
        """The slice that is shown; the nearest one where other layers of the viewer reach beyond the stack."""
        z = np.rint(self.viewer.dims.point[_Z] / self._spacing)
        return int(np.clip(z, 0, self.session.stack.shape[0] - 1))

    def go_to(self, z: int) -> None:
        """Show a slice."""
        self.viewer.dims.set_point(_Z, z * self._spacing)

    def paint_with(self, value: int) -> None:
        """Paint a phase from now on, or erase with 0."""
        self.annotation.selected_label = value
        self.annotation.mode = "paint"
        self._focus()

    def on_change(self, call: Callable[[], object]) -> None:
        """Have something called whenever labels are being painted, undone or shown; it may be before they are."""
        for changing in (
            self.annotation.events.paint,
            self.annotation.events.labels_update,
            self.annotation.events.set_data,
        ):
            changing.connect(lambda _: call())

    def propose(self, proposal: Proposal) -> None:
        """Show a proposal of a slice."""
        self.proposed[proposal.z] = proposal.labels
        self.proposal.visible = True
        self.proposal.refresh()

    def take(self) -> None:
        """Paint the proposal of the slice where nothing is painted yet, in one step that napari can undo."""
        self.annotation.data_setitem(*self.session.to_take(self.z, self.proposed.plane(self.z)))
        self.proposed.drop(self.z)
        self.refresh()

    def refresh(self) -> None:
        """Show what labels and proposals are now."""
        self.annotation.refresh()
        self.proposal.refresh()

    def show_prediction(self, name: str) -> None:
        """Show a label image, in place of what it was before, below the annotation."""
        for data in napari_layers(self.session.stack, [name])[len(self.session.stack.detectors) :]:
            for before in [each for each in self._layers() if each.name == data[1]["name"]]:
                self.viewer.layers.remove(before)
            layer = self._add(data)
            kept = [each for each in (self.proposal, self.annotation, layer) if each in self.viewer.layers]
            below = min(map(self.viewer.layers.index, kept))
            self.viewer.layers.move(self.viewer.layers.index(layer), below)
        self._focus()

    def remove(self) -> None:
        """Take the layers away."""
        for layer in self._layers():
            self.viewer.layers.remove(layer)

    @property
    def _spacing(self) -> float:
        """The distance of slices in the viewer's unit: the smallest one of all layers; none if they do not fit."""
        spacing, units = self.session.stack.voxel_nm[0], self.viewer.dims.units
        return spacing if units is None else float((spacing * self.annotation.units[_Z]).m_as(units[_Z]))

    def _focus(self) -> None:
        """Let strokes go to the annotation, unless its layer was removed."""
        if self.annotation in self.viewer.layers:
            self.viewer.layers.selection.active = self.annotation

    def _layers(self) -> list[Layer]:
        return [layer for layer in self.viewer.layers if layer.metadata.get(_KEY) is self]

    def _add(self, data: LayerData) -> Layer:
        array, options, kind = data
        layer = Layer.create(array, {**options, "metadata": {_KEY: self}}, kind)
        self.viewer.add_layer(layer)
        return layer
