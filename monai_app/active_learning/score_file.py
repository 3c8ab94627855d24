"""Scores of slices in a file, which are valid for one stack, one model and one sampling."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from monai_app.active_learning.slice_scores import Sampling, SliceScore
from monai_app.files import atomic_file, lock, lock_path

Measure = Callable[[list[int]], Iterable[SliceScore]]
"""Scores slices."""

_log = logging.getLogger(__name__)

_FORMAT = 3
"""Version of the file."""

_SAVED = 8
"""Slices after which what was measured is written: an interrupted measurement resumes there."""


class _Content(BaseModel):
    binding: dict[str, Any]
    slices: dict[int, SliceScore]


class ScoreFile:
    """Scores kept in a JSON file, which holds nothing where it was written for something else.

    Args:
        path: the file.
        stack: identifies the stack, such as `Stack.identity`.
        model: identifies the model, such as the SHA-256 of its weights; None for no model.
        sampling: which windows the model looked at.
    """

    def __init__(self, path: Path, stack: str, model: str | None, sampling: Sampling | None = None) -> None:
        self.path = path
        self._binding = {"format": _FORMAT, "stack": stack, "model": model, **asdict(sampling or Sampling())}

    def read(self) -> dict[int, SliceScore]:
        """Return what was written for the same stack, model and sampling, by z; nothing where the file is damaged."""
        try:
            content = _Content.model_validate_json(self.path.read_bytes())
        except (OSError, ValidationError):
            return {}
        return content.slices if content.binding == self._binding else {}

    def write(self, scores: Mapping[int, SliceScore]) -> None:
        """Add scores to those of the same stack, model and sampling, or put them in place of any others.

        The file is written atomically; concurrent writers do not overwrite each other's scores.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with lock(lock_path(self.path)):
            content = _Content(binding=self._binding, slices={**self.read(), **scores})
            with atomic_file(self.path) as temporary:
                temporary.write_text(content.model_dump_json() + "\n", encoding="utf8")


def complete_scores(
    kept: ScoreFile, wanted: Collection[int], measure: Measure, counts: Callable[[], bool] = lambda: True
) -> dict[int, SliceScore]:
    """Measure the slices of which a file has no score, and add these to it, a few at a time.

    Args:
        kept: the file.
        wanted: z of the slices.
        measure: scores some slices.
        counts: whether the scores are still those of the model that counts; else they are not written.

    Returns:
        z -> score, of the slices wanted and of all others in the file.
    """
    scores = kept.read()
    left = sorted(set(wanted) - set(scores))
    for first in range(0, len(left), _SAVED):
        scores |= {score.z: score for score in measure(left[first : first + _SAVED])}
        _log.info("scored %d of %d slices", min(first + _SAVED, len(left)), len(left))
        if counts():
            kept.write(scores)
    return scores
