"""The parts of a stack that viewers show."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from monai_app.domain.phase import Phase
from monai_app.errors import StackError
from monai_app.stack import Stack
from monai_app.stack.label_images.arrays import ResultArrays
from monai_app.stack.label_images.registry import read_phases
from monai_app.stack.ngff import layout

CONFIDENCE = "confidence"
"""The map beside a label image that viewers show; its bytes 0..255 stand for 0..1."""


@dataclass(frozen=True)
class ShownLabels:
    """A label image, or the annotations.

    Args:
        name: its name.
        phases: the meaning of its values.
        confidence: whether there is a map of the confidence beside it.
    """

    name: str
    phases: tuple[Phase, ...]
    confidence: bool

    @property
    def folder(self) -> str:
        """Its group in the store."""
        return f"{layout.LABELS}/{self.name}"

    @property
    def map_folder(self) -> str:
        """The group of its confidence."""
        return f"{self.folder}/{CONFIDENCE}"


def shown_labels(stack: Stack, names: Sequence[str] | None = None) -> tuple[ShownLabels, ...]:
    """Look up label images; ``annotation`` stands for the annotations.

    Args:
        stack: the stack.
        names: what is shown, in this order; None for all label images and then the annotations, if there are any.

    Raises:
        StackError: there is none of a name, or one is damaged.
    """
    known = (*stack.label_names(), *([layout.ANNOTATION] if stack.roles else []))
    for name in names or ():
        if name not in known:
            raise StackError(
                f"{stack.path.name} has no finished label image {name!r}; available are: "
                f"{', '.join(known) or 'nothing'} (--labels NAME)"
            )
    return tuple(_shown(stack, name) for name in dict.fromkeys(known if names is None else names))


def _shown(stack: Stack, name: str) -> ShownLabels:
    if name == layout.ANNOTATION:
        return ShownLabels(name, stack.phases, confidence=False)
    folder = stack.path / layout.LABELS / name
    return ShownLabels(name, read_phases(stack.path, name), CONFIDENCE in ResultArrays.open(folder).levels)


def grey_windows(stack: Stack) -> dict[str, tuple[float, float]]:
    """Read the grey values that viewers show as black and white, of every detector, from the store's NGFF metadata.

    Raises:
        StackError: they are damaged.
    """
    file = stack.path / "zarr.json"
    try:
        channels = json.loads(file.read_text(encoding="utf-8"))["attributes"]["ome"]["omero"]["channels"]
        windows = [(float(each["window"]["start"]), float(each["window"]["end"])) for each in channels]
        if len(windows) != len(stack.detectors):
            raise ValueError(f"it lists {len(windows)} channels of {len(stack.detectors)} detectors")
        return dict(zip(stack.detectors, windows, strict=True))
    except (ValueError, KeyError, TypeError) as error:
        raise StackError(
            f"{file} is damaged ({type(error).__name__}: {error}); restore it from a copy, or ingest the sample again"
        ) from None
