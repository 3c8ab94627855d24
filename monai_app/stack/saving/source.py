"""What of a stack is saved, whatever the file: a label image, the annotations, or a map."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.domain.phase import Phase
from monai_app.domain.region import Rect, Span
from monai_app.errors import ConfigError, StackError
from monai_app.names import listed
from monai_app.stack.label_images.arrays import LABELS, ResultArrays
from monai_app.stack.label_images.registry import read_phases
from monai_app.stack.label_images.resumable import finished_as
from monai_app.stack.ngff import layout
from monai_app.stack.store import Stack

_log = logging.getLogger(__name__)

Read = Callable[[int, Rect], npt.NDArray[np.uint8]]
"""Gives a rectangle of slice z: (rows, columns)."""


@dataclass(frozen=True, eq=False)
class Source:
    """What is saved; made by `Source.open`.

    Attributes:
        stack: the stack.
        labels: the label image's name, or ``annotation``.
        read: reads 0 and the phases 1..K, or 0..255 for 0..1 of a map.
        slices: z of the slices that were segmented, or annotated, ascending.
        phases: what the values mean; None of a map.
        title: what it is, for people.
        made: what changes when it is replaced.
    """

    stack: Stack
    labels: str
    read: Read
    slices: tuple[int, ...]
    phases: tuple[Phase, ...] | None
    title: str
    made: Any

    @classmethod
    def open(cls, stack: Stack, labels: str, map: str | None = None, phase: str | None = None) -> "Source":
        """Find what is to be saved.

        Args:
            stack: the stack.
            labels: the label image's name, or ``annotation``.
            map: of the maps beside the label image the one to save, such as ``"confidence"``; None for the labels.
            phase: whose map, by name, where every phase has its own, as in ``"probability"``.

        Raises:
            ConfigError: a phase is missing, unknown, or given for what has none.
            StackError: there is no such label image or map, or no annotation.
        """
        made = _made_as(stack, labels)
        if map is None and phase is not None:
            raise ConfigError(
                f"phase {phase!r} selects a map of a phase, but no map is requested; give one (--map), or leave it out"
            )
        if labels == layout.ANNOTATION:
            return cls._annotations(stack, map, made)
        phases, slices = read_phases(stack.path, labels), tuple(stack.label_slices(labels))
        if map is None:
            title = f"labels {labels} of {stack.name}"
            return cls(stack, labels, lambda z, rect: stack.read_labels(labels, z, rect), slices, phases, title, made)
        number = _number_of(stack, labels, map, phase, phases)
        title = f"{map if phase is None else f'{map} of {phase}'}, 0..255 for 0..1, labels {labels} of {stack.name}"
        return cls(
            stack, labels, lambda z, rect: stack.read_map(labels, map, z, rect, number), slices, None, title, made
        )

    @classmethod
    def _annotations(cls, stack: Stack, map: str | None, made: Any) -> "Source":
        if map is not None:
            raise ConfigError(f"annotations have no map {map!r}; leave it out, or choose a label image")
        if not stack.roles:
            raise StackError(f"{stack.path} has no annotations; choose a label image, or annotate slices first")

        def read(z: int, rect: Rect) -> npt.NDArray[np.uint8]:
            return stack.read_annotation(z, rect) if z in stack.roles else np.zeros(rect.shape, np.uint8)

        title = f"annotations of {stack.name}"
        return cls(stack, layout.ANNOTATION, read, tuple(sorted(stack.roles)), stack.phases, title, made)

    def held_in(self, span: Span) -> list[int]:
        """The slices of a span that were segmented, or annotated.

        Raises:
            StackError: there are none.
        """
        if held := [z for z in self.slices if span.start <= z < span.stop]:
            return held
        raise StackError(
            f"{self._what} of {self.stack.path.name}: none of the slices {span} was {self._made_by}, only "
            f"{listed(self.slices)}; choose from these (--z)"
        )

    @property
    def _what(self) -> str:
        return "annotations" if self.labels == layout.ANNOTATION else f"labels {self.labels!r}"

    @property
    def _made_by(self) -> str:
        return "annotated" if self.labels == layout.ANNOTATION else "segmented"

    def filled_span(self, span: Span, become: str) -> Span:
        """The slices of a span from the first that was segmented to the last; of annotations, all.

        A warning names slices between them that were not segmented, and gaps of the stack.

        Args:
            span: the slices.
            become: what becomes of those that were not segmented, for the warning.

        Raises:
            StackError: none was segmented, or annotated.
        """
        held = self.held_in(span)
        if self.labels != layout.ANNOTATION:
            span = Span(held[0], held[-1] + 1)
            self.warn_of_absent(span, become)
        self._warn_of_gaps(span)
        return span

    def warn_of_absent(self, span: Span, become: str) -> None:
        """Log which slices of a span were not segmented, or annotated, and what becomes of them."""
        if absent := [self.stack.slice_names[z] for z in sorted(set(span.range) - set(self.slices))]:
            _log.warning("%s: not %s, and %s: %s", self._what, self._made_by, become, listed(absent))

    def _warn_of_gaps(self, span: Span) -> None:
        gaps = [self.stack.slice_names[z] for z in self.stack.gaps if span.start < z < span.stop]
        if gaps:
            _log.warning(
                "slices are missing, or another series begins, before %s: the file has all slices in sequence, %g nm "
                "apart, so those after the gap are too close",
                listed(gaps),
                self.stack.voxel_nm[0],
            )

    def check_unreplaced(self) -> None:
        """Check, after the last of it was read, that all of it is of one label image.

        Raises:
            StackError: it was replaced meanwhile.
        """
        if _made_as(self.stack.reopened(), self.labels) != self.made:
            raise StackError(f"{self._what} of {self.stack.path} were replaced while they were read; save them again")


def _made_as(stack: Stack, labels: str) -> Any:
    """What changes when the annotations, or a finished label image, are replaced."""
    if labels == layout.ANNOTATION:
        return stack.identity
    stack.label_attributes(labels)  # there is such a label image
    return finished_as(stack.path, labels)


def _number_of(stack: Stack, labels: str, map: str, phase: str | None, phases: tuple[Phase, ...]) -> int | None:
    """The number of the phase whose map is meant; None if a map is one for all phases."""
    levels = ResultArrays.open(stack.path / layout.LABELS / labels).levels
    maps = {name: arrays[0].ndim > len(stack.shape) for name, arrays in levels.items() if name != LABELS}
    if map not in maps:
        raise StackError(
            f"label image {labels!r} of {stack.path.name} has no map {map!r}, it has {', '.join(maps) or 'none'}; "
            "segment again with --confidence or --probability"
        )
    names = [each.name for each in phases]
    if maps[map] and phase not in names:
        wrong = "is needed" if phase is None else f"{phase!r} is unknown"
        raise ConfigError(f"{map} is stored for every phase, and the phase {wrong}; give --phase {'|'.join(names)}")
    if not maps[map] and phase is not None:
        raise ConfigError(f"{map} is one map for all phases; leave out phase {phase!r}")
    return names.index(str(phase)) if maps[map] else None
