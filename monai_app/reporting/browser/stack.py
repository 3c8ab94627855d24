"""The slices of a stack with its labels."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from monai_app.progress import Progress, silent
from monai_app.reporting.browser.budget import Detail, spread, within
from monai_app.reporting.browser.encoding import Bytes, Window, jpeg, packed, picture_shape, thin_grey, thin_labels
from monai_app.reporting.browser.markup import phase_list, slice_data, widget
from monai_app.stack import Stack
from monai_app.stack.label_images.listing import label_images
from monai_app.stack.label_images.registry import read_phases
from monai_app.stack.ngff.pyramid import level_shapes

_WINDOWED = 16
"""Number of slices from which the grey value window is computed."""

_FIXED = 16_384
"""Bytes of the budget for everything except slices."""

_CONFIDENCE = "confidence"
"""The map that is shown with labels, if they have it."""

_SHADE = 16
"""Step of the confidence values 0..255: finer steps are not visible but take more space."""


def _coarse(shape: tuple[int, int]) -> tuple[int, int]:
    """Return the rows and columns of a confidence picture: half, because confidence varies slowly."""
    return -(-shape[0] // 2), -(-shape[1] // 2)


def stack_browser(stack: Stack, labels: str | None, *, budget: int, progress: Progress = silent) -> Markup:
    """Return HTML for stepping through the slices of a stack.

    Every slice of every detector is shown at screen resolution with the labels overlaid; all slices of a detector have
    the same grey value window, from the 0.5th to the 99.5th percentile. With more slices, pictures become smaller and
    coarser; if they still exceed the budget, only every n-th slice is shown, which the HTML states.

    Args:
        stack: the stack.
        labels: the name of its label image; None shows only the images.
        budget: maximum bytes of the HTML, except for a single slice; 45 MB are enough for 156 slices of two detectors.
        progress: called while slices are encoded.

    Raises:
        StackError: there is no such label image, or a slice cannot be read.
    """
    pictures = _Pictures(stack, labels)
    detail, slices = within(stack.shape[0], budget - _FIXED, pictures.encode, progress)
    about = pictures.about(detail, list(slices))
    return widget("stack.html", about, list(slices.values()), step=detail.step, total=stack.shape[0], divided=False)


class _Pictures:
    """Encodes the slices of a stack for a page.

    Args:
        stack: the stack.
        labels: the name of its label image, if it is shown.
    """

    def __init__(self, stack: Stack, labels: str | None) -> None:
        self._stack, self._labels = stack, labels
        self._segmented = set() if labels is None else set(stack.label_slices(labels))
        self._unsure = any(each.name == labels and _CONFIDENCE in each.maps for each in label_images(stack))
        some = spread(stack.shape[0], _WINDOWED)
        self._windows = {name: Window.of(stack.read_overview(z, [name])[0] for z in some) for name in stack.detectors}

    def about(self, detail: Detail, shown: list[int]) -> Mapping[str, Any]:
        """Return the metadata common to all slices."""
        stack = self._stack
        _, rows, columns = stack.shape
        height, width = picture_shape(rows, columns, detail.side)
        coarse = _coarse((height, width))
        return {
            "name": stack.name,
            "rows": rows,
            "columns": columns,
            "height": height,
            "width": width,
            "voxel_nm": stack.voxel_nm,
            "detectors": stack.detectors,
            "labels": self._labels,
            "phases": [] if self._labels is None else phase_list(read_phases(stack.path, self._labels)),
            "confidence": {"height": coarse[0], "width": coarse[1]} if self._unsure else None,
            "slices": shown,
        }

    def encode(self, z: int, detail: Detail) -> str:
        """Encode one slice: pictures of all detectors, and labels."""
        shape = picture_shape(*self._stack.shape[1:], detail.side)
        pictures = {name: self._picture(z, name, shape) for name in self._stack.detectors}
        content: dict[str, Any] = {
            "name": self._stack.slice_names[z],
            "grey": [jpeg(picture, detail.quality) for picture in pictures.values()],
        }
        if z in self._segmented and self._labels is not None:
            labels = self._stack.read_labels(self._labels, z)
            content["labels"] = packed(thin_labels(labels, shape))
            if self._unsure:
                stored = self._stack.read_map(self._labels, _CONFIDENCE, z)
                stored[labels == 0] = 255  # unsegmented pixels are not marked
                confidence = thin_grey(stored, _coarse(shape))
                content["confidence"] = packed(confidence // _SHADE * _SHADE + _SHADE // 2)
        return slice_data(content)

    def _picture(self, z: int, detector: str, shape: tuple[int, int]) -> Bytes:
        """Return a detector's picture of a slice, from the smallest pyramid level that is large enough."""
        levels = level_shapes(*self._stack.shape[1:])
        level = max(n for n, (rows, columns) in enumerate(levels) if rows >= shape[0] and columns >= shape[1])
        plane = self._stack.read_level(level, z, detector)
        return thin_grey(self._windows[detector].apply(plane), shape)
