"""What is measured of the runs of a study after their training, kept in files beside them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from monai_app.files import file_sha256, write_json
from monai_app.metrics import Counts, count_pixels
from monai_app.stack import SlabSource, Stack
from monai_app.study.prediction import SlicePredictor
from monai_app.study.runs import StudyRun


def read_cached(run: StudyRun, name: str, **circumstances: Any) -> Any:
    """Return what `write_cached` kept.

    Args:
        run: the run.
        name: of what was measured.
        circumstances: under which it holds.

    Returns:
        None if nothing is kept, or it is of another model, of one of other annotations or of other circumstances.
    """
    try:
        document = json.loads(_file(run, name).read_text(encoding="utf8"))
    except FileNotFoundError:
        return None
    return document["found"] if document.get("of") == _of(run, circumstances) else None  # earlier versions lack it


def write_cached(run: StudyRun, name: str, found: Any, **circumstances: Any) -> None:
    """Keep what was measured of a run in ``seed_<seed>_<name>.json`` beside its folder."""
    write_json(_file(run, name), {"of": _of(run, circumstances), "found": found})


def count(predict: SlicePredictor, images: Callable[[int], SlabSource], stack: Stack) -> Counts:
    """Label the test slices of a stack and compare them with its annotations.

    Args:
        predict: labels a slice.
        images: test slice z -> the images in which it is labelled.
        stack: with the annotations.

    Returns:
        Pixels of all test slices, (K, K), [true][predicted].
    """
    phases = len(stack.phases)
    counts = [count_pixels(stack.read_annotation(z), predict(images(z), z), phases) for z in stack.test_slices]
    total: Counts = np.sum(counts, axis=0)
    return total


def _file(run: StudyRun, name: str) -> Path:
    return run.folder.with_name(f"{run.folder.name}_{name}.json")


def _of(run: StudyRun, circumstances: dict[str, Any]) -> dict[str, Any]:
    return {"learned_sha256": file_sha256(run.learned), "trained_on": run.stack.identity, **circumstances}
