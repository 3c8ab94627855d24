"""A stack in a window of napari."""

from collections.abc import Sequence

import napari

from monai_app.stack import Stack
from monai_app.viewer.layers import napari_layers


def show(stack: Stack, labels: Sequence[str] | None = None) -> None:
    """Show the layers of a stack (`napari_layers`) in napari, its middle slice first, until the window is closed.

    Raises:
        StackError: there is no label image of a name, or one is damaged.
    """
    layers = napari_layers(stack, labels)
    viewer = napari.Viewer(title=stack.name)
    for data, options, kind in layers:
        viewer.add_layer(napari.layers.Layer.create(data, options, kind))
    viewer.canvas.overlays.scale_bar.visible = True
    viewer.dims.set_current_step(0, stack.shape[0] // 2)
    napari.run()
