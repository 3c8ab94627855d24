"""Run measures on labels."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

from monai_app.progress import Progress, Task, silent
from monai_app.quantities.labels import Labels, StoredLabels, check_labelled
from monai_app.quantities.measures import MEASURES
from monai_app.quantities.quantity import Measure, Measured, Quantity

COUNT = "count"
"""The step before the measures: counting the voxels of every value."""

_OF_ANNOTATIONS = frozenset({"correction"})
"""Measures that have a value for a phase without voxels."""


@dataclass(frozen=True)
class Quantification:
    """The results of all measures.

    Args:
        labels: of what.
        measured: name of the measure -> what it found.
        seconds: name of the measure, or ``count`` -> how long it took.
    """

    labels: Labels
    measured: Mapping[str, Measured]
    seconds: Mapping[str, float]

    @property
    def quantities(self) -> dict[str, Mapping[str, Quantity]]:
        """Name of the quantity -> name of the phase -> the number, of all measures."""
        return {name: of for each in self.measured.values() for name, of in each.quantities.items()}


def quantify(
    labels: Labels, measures: Mapping[str, Measure] = MEASURES, progress: Task = lambda name: nullcontext(silent)
) -> Quantification:
    """Measure labels; each measure reads them once, in blocks.

    Args:
        labels: a label image of a stack, or an array.
        measures: name -> measure.
        progress: given a measure's name, makes what shows its progress.

    Raises:
        ConfigError: nothing is segmented, or a measure cannot be computed for these labels.
        StackError: a chunk is damaged, or stack or labels were replaced meanwhile.
    """
    measured: dict[str, Measured] = {}
    seconds: dict[str, float] = {}
    with _timed(progress, COUNT, seconds) as shown:
        check_labelled(labels, shown)
    for name, measure in measures.items():
        with _timed(progress, name, seconds) as shown:
            found = measure(labels, shown)
        measured[name] = found if name in _OF_ANNOTATIONS else _without_absent(found, labels)
    if isinstance(labels, StoredLabels):
        labels.check()
    return Quantification(labels, measured, seconds)


@contextmanager
def _timed(progress: Task, name: str, seconds: dict[str, float]) -> Iterator[Progress]:
    begin = time.perf_counter()
    with progress(name) as shown:
        yield shown
    seconds[name] = time.perf_counter() - begin


def _without_absent(measured: Measured, labels: Labels) -> Measured:
    """Mark every number of a phase without voxels as unreliable."""
    counts = labels.count().sum(0)
    absent = {phase.name for phase in labels.phases if not counts[phase.value]}
    marked = {
        name: {
            phase: replace(each, unreliable="no voxel has this phase") if phase in absent else each
            for phase, each in of.items()
        }
        for name, of in measured.quantities.items()
    }
    return replace(measured, quantities=marked)
