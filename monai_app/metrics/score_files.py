"""Scores as files: a table for spreadsheets (CSV) and a complete document (JSON)."""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from monai_app.files import atomic_file
from monai_app.metrics.scores import Scores

Document = Mapping[str, Any]
"""JSON values by name, in which ``nan`` stands for what is undefined."""

_NUMBERS = re.compile(r"\[\n[^\[\]{}\"]*\]")
"""A list of numbers, which stands in one line."""


@dataclass(frozen=True)
class Part:
    """The scores of all that was scored, or of a part of it.

    Attributes:
        scores: from the confusion matrix.
        sections: further scores by the section's name. An entry ``phases`` of a section, a row of numbers per phase,
            and an entry ``mean``, such a row of all phases, become columns of the table, ``<section>_<name>``.
        stack: the stack that it is of; None for all.
        slice: z of the slice that it is of; None for all.
    """

    scores: Scores
    sections: Mapping[str, Document] = field(default_factory=dict)
    stack: str | None = None
    slice: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the scores, without their place, as JSON values."""
        return {**asdict(self.scores), **self.sections}


def write_scores(folder: Path, whole: Part, parts: Sequence[Part], record: Document) -> None:
    """Write ``scores.csv`` (one row a phase, then the mean) and ``scores.json`` (undefined becomes null).

    Args:
        folder: where the files go.
        whole: of all that was scored; its rows of the table are the first.
        parts: of single stacks and slices; in the document they are its ``parts``.
        record: what was scored; it goes into the document too.
    """
    rows = [row for part in (whole, *parts) for row in _rows(part)]
    with atomic_file(folder / "scores.csv") as temporary, temporary.open("w", newline="", encoding="utf8") as handle:
        writer = csv.DictWriter(handle, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
    documents = [{"stack": part.stack, "slice": part.slice, **part.to_json()} for part in parts]
    text = json.dumps(without_nan({**record, **whole.to_json(), "parts": documents}), indent=2, allow_nan=False)
    with atomic_file(folder / "scores.json") as temporary:
        temporary.write_text(_NUMBERS.sub(lambda found: " ".join(found[0].split()), text) + "\n", encoding="utf8")


def read_scores(path: Path) -> dict[str, Any]:
    """Read what `write_scores` wrote as ``scores.json``; what is undefined is ``nan`` again.

    Raises:
        ValueError: it is not a JSON object.
    """
    document = _with_nan(json.loads(path.read_text(encoding="utf8")))
    if not isinstance(document, dict):
        raise ValueError(f"{path} is not an object")
    return document


def _rows(part: Part) -> Iterator[dict[str, Any]]:
    place = {"stack": part.stack, "slice": part.slice}
    for number, phase in enumerate(part.scores.phases):
        more = (_columns(name, each["phases"][number]) for name, each in part.sections.items() if "phases" in each)
        yield {**asdict(phase), **place} | {name: value for columns in more for name, value in columns.items()}
    more = (_columns(name, each["mean"]) for name, each in part.sections.items() if "mean" in each)
    mean = {"phase": "mean", "iou": part.scores.mean_iou, **place}
    yield mean | {name: value for columns in more for name, value in columns.items()}


def _columns(section: str, row: Document) -> dict[str, Any]:
    return {f"{section}_{name}": value for name, value in row.items() if name != "phase"}


def without_nan(value: Any) -> Any:
    """Return JSON values with None, which JSON knows as null, in place of every ``nan``."""
    if isinstance(value, Mapping):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def _with_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_nan(item) for item in value]
    return float("nan") if value is None else value
