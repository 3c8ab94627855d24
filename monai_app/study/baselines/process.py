"""Train and score a baseline in a process: ``STACK VARIANT SEED FOLDER FRACTION BLOCK``."""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from monai_app.domain.region import Rect
from monai_app.errors import AppError, ConfigError
from monai_app.files import write_json
from monai_app.metrics import Document, count_pixels, read_scores, without_nan
from monai_app.stack import Stack
from monai_app.study.baselines.forest import Forest
from monai_app.study.baselines.method import Examples, Fitted, Labels, Method, search
from monai_app.study.baselines.otsu import Otsu
from monai_app.study.variants import StudyVariant, read_study_variant
from monai_app.training.evaluation import boundary_section, interval_section

RESULT = "scores.json"
"""File of a run's folder with what it found."""


def train_and_score(
    stack: Stack, variant: StudyVariant, seed: int, folder: Path, validation: tuple[float, int]
) -> None:
    """Choose the parameters on the training slices, label the test slices, and write what they score.

    Args:
        stack: the stack, cleaned or not.
        variant: what is trained.
        seed: of samples and trees.
        folder: where ``scores.json`` goes.
        validation: which share of the labelled area validates, and the side of its blocks in pixels.
    """
    begin = time.perf_counter()
    detectors, slices = variant.detectors_of(stack), variant.slices
    found = search(_method(stack, variant, seed), Examples.of(stack, detectors, slices, seed, validation))
    seconds = time.perf_counter() - begin
    whole = Rect.whole(stack.shape)
    labels = {z: found.fitted.predict(stack.read_slab(z, detectors, slices), whole) for z in stack.test_slices}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(
        folder / RESULT,
        {
            "variant": variant.name,
            "seed": seed,
            "stack_identity": stack.identity,
            "validation": validation,
            "seconds": round(seconds, 1),
            "parameters": dict(found.parameters),
            "tried": [{**parameters, "mean_iou": score} for parameters, score in found.tried],
            "slices": without_nan([_slice(stack, z, own) for z, own in labels.items()]),
        },
    )


def read_result(folder: Path, identity: str) -> dict[str, Any] | None:
    """Return what a run found on a stack with its annotations; None if it was not, or of others.

    Raises:
        ConfigError: the file is damaged.
    """
    try:
        document = read_scores(folder / RESULT)
        return document if document["stack_identity"] == identity else None
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(folder / RESULT, error) from None


def damaged(path: Path, error: Exception) -> ConfigError:
    """Say that a file beside or of a run cannot be used."""
    return ConfigError(f"{path} is damaged ({type(error).__name__}: {error}); remove it, and run the command again")


def refit(stack: Stack, variant: StudyVariant, seed: int, folder: Path) -> Fitted:
    """Let a method that was chosen learn the same again; nothing that could hold code is kept of it.

    Args:
        stack: that it was trained on.
        variant: what was trained.
        seed: of samples and trees.
        folder: with its ``scores.json``.
    """
    document = read_scores(folder / RESULT)
    fraction, block = document["validation"]
    examples = Examples.of(stack, variant.detectors_of(stack), variant.slices, seed, (fraction, block))
    return examples.fit(_method(stack, variant, seed), document["parameters"])


def _method(stack: Stack, variant: StudyVariant, seed: int) -> Method:
    return Otsu(len(stack.phases)) if variant.method == "otsu" else Forest(variant.slices, seed)


def _slice(stack: Stack, z: int, labels: Labels) -> Document:
    true, phases = stack.read_annotation(z), [phase.name for phase in stack.phases]
    labels = np.where(true > 0, labels, 0).astype(np.uint8)
    return {
        "z": z,
        "confusion": count_pixels(true, labels, len(phases)).tolist(),
        "intervals": interval_section(stack, z, true, labels, phases),
        "boundary": boundary_section(true, labels, phases),
    }


def _main() -> None:
    path, name, seed, folder, fraction, block = sys.argv[1:]
    validation = float(fraction), int(block)
    try:
        train_and_score(Stack.open(path), read_study_variant(name), int(seed), Path(folder), validation)
    except AppError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _main()
