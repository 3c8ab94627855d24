"""Slices of a stack that differ in appearance from the training slices of a model."""

import csv
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_app.domain.appearance import Appearance, Unlike, joined, lines_of, unlike
from monai_app.domain.model_spec import ModelSpec
from monai_app.files import atomic_file
from monai_app.inspection.appearance import measure_appearance
from monai_app.progress import Progress, silent
from monai_app.stack import Stack

TABLE = "slices.csv"
"""File with the appearance of a result's slices: one row per slice and detector with all measures and deviations."""

_MOST = 10
"""Lines that are logged."""


@dataclass(frozen=True)
class Familiarity:
    """Comparison of slices of a stack with the training slices of a model.

    Attributes:
        appearances: what was measured, by z.
        unlike: in which ways slices lie outside.
    """

    appearances: dict[int, Appearance]
    unlike: tuple[Unlike, ...]

    @property
    def attributes(self) -> dict[str, Any]:
        """What is recorded with a result: the slices that are unlike the training's, and a line for every reason."""
        return {"slices": sorted({each.z for each in self.unlike}), "reasons": lines_of(self.unlike)}

    def write(self, path: Path) -> None:
        """Write the table.

        Raises:
            StorageError: the disk is full or read-only.
        """
        measures = dict.fromkeys(name for each in self.appearances.values() for own in each.values() for name in own)
        with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf8") as handle:
            writer = csv.DictWriter(handle, ["slice", "detector", *measures, "unlike"])
            writer.writeheader()
            for z, appearance in self.appearances.items():
                for detector, values in appearance.items():
                    found = (each.measure for each in self.unlike if (each.z, each.detector) == (z, detector))
                    writer.writerow({"slice": z, "detector": detector, **values, "unlike": " ".join(found)})


def look_at(
    stack: Stack, slices: Sequence[int], spec: ModelSpec, folder: Path, progress: Progress = silent
) -> Familiarity | None:
    """Compare slices with the training slices of a model, and warn of those that differ, in at most ten lines.

    What was measured is written as `TABLE`; where that is there, it is read instead.

    Args:
        stack: has the model's detectors.
        slices: z of the slices.
        spec: of the model.
        folder: of the result, where the table goes.
        progress: called for every slice that is measured.

    Returns:
        What was found; None if the model does not know how its training slices looked.

    Raises:
        StackError: a slice is damaged.
        StorageError: the disk is full or read-only.
    """
    ranges = [each.appearance for each in spec.training_stacks if each.appearance is not None]
    if not ranges:
        return None
    known = joined(ranges)
    table = folder / TABLE
    before = _read(table) if table.is_file() else {}
    appearances = before if list(before) == list(slices) else _measure(stack, slices, spec, progress)
    found = Familiarity(appearances, tuple(way for z, each in appearances.items() for way in unlike(z, each, known)))
    if appearances is not before:
        found.write(table)
    _warn(lines_of(found.unlike))
    return found


def _measure(stack: Stack, slices: Sequence[int], spec: ModelSpec, progress: Progress) -> dict[int, Appearance]:
    found = {}
    progress(0, len(slices))
    for number, z in enumerate(slices, 1):
        found[z] = measure_appearance(stack, z, spec.detectors)
        progress(number, len(slices))
    return found


def _read(path: Path) -> dict[int, Appearance]:
    """What `Familiarity.write` wrote of the slices."""
    found: dict[int, dict[str, dict[str, float]]] = {}
    with path.open(newline="", encoding="utf8") as handle:
        for row in csv.DictReader(handle):
            z, detector = int(row.pop("slice")), row.pop("detector")
            values = {name: float(text) for name, text in row.items() if text and name != "unlike"}
            found.setdefault(z, {})[detector] = values
    return dict(found)


def _warn(lines: Sequence[str]) -> None:
    logger = logging.getLogger(__name__)
    shown = lines if len(lines) <= _MOST else lines[: _MOST - 1]
    for line in shown:
        logger.warning("different from the training slices: %s", line)
    if len(lines) > len(shown):
        logger.warning(
            "%d more lines of such slices; see %s in the folder of the result", len(lines) - len(shown), TABLE
        )
