"""Start a study, or find the one to resume."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monai_app.bundle.stacks import check_stacks
from monai_app.errors import ConfigError
from monai_app.files import lock, write_json
from monai_app.progress import Task
from monai_app.stack import Stack
from monai_app.stack.annotations.listing import slices_of_role
from monai_app.stack.places import check_outside_stores
from monai_app.storage import check_writable
from monai_app.study.baselines.cleaned_stack import cleaned_stack
from monai_app.study.design import Design, check_design, default_design, read_design, validation_of, write_design
from monai_app.study.labels.stacks import check_labels
from monai_app.study.variants import CLEANED, read_study_variant

FILE = "design.yaml"
"""File of a study's folder that says what is compared."""

SAMPLES = "samples.json"
"""File of a study's folder: name of each sample's store -> its identity at the ingestion."""


def begin_study(
    given: Sequence[Path], path: Path | None, seeds: str | None, epochs: int | None
) -> tuple[list[Stack], Path, Design]:
    """Check what a study is to be, and write its design.

    Args:
        given: the stacks, and the study's folder.
        path: of a design; None for the folder's own, or the default.
        seeds: numbers with commas between, which take the place of the design's.
        epochs: likewise.

    Returns:
        The stacks, the folder and the design.

    Raises:
        ConfigError: stacks or folder are missing, the design does not fit the stacks, or the folder holds a study that
            differs in more than further samples, variants, seeds and artefacts.
        AnnotationError: a stack has no test slice, or the stacks have different phases.
        StackError: their pixels are of different types.
        BusyError: another command is at work in the folder.
    """
    *paths, folder = given
    if not paths:
        raise ConfigError(f"{folder} is the only argument; write STACK FOLDER, with the study's folder last")
    if (folder / "zarr.json").is_file():
        raise ConfigError(f"{folder} is a store; the study's folder comes last")
    check_outside_stores(folder)
    stacks = [Stack.open(each) for each in paths]
    for stack in stacks:
        slices_of_role(stack, "test")
    earlier = read_design(folder / FILE) if (folder / FILE).is_file() else None
    design = read_design(path) if path is not None else earlier or default_design(stacks[0])
    changes: dict[str, Any] = {"seeds": _numbers(seeds), "epochs": epochs}
    design = design.replaced(**{name: value for name, value in changes.items() if value is not None})
    check_design(design, stacks)
    check_labels(design, stacks, folder)
    if len(stacks) > 1:
        _check_alike(design, stacks)
    if earlier is not None:
        _check_same(folder, earlier, design)
        _check_samples(folder, stacks)
    check_writable(folder, "choose a folder where you can write")
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder):
        write_design(design, folder / FILE)
        write_json(folder / SAMPLES, {stack.store_name: stack.ingested for stack in stacks})
    return stacks, folder.absolute(), design


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other commands off a study's folder while the body runs.

    Raises:
        BusyError: one is at work there.
    """
    with lock(
        folder / ".lock", f"{folder} is a study in use by another command; wait for it, or choose another folder"
    ):
        yield


def cleaned_stacks(design: Design, stacks: Sequence[Stack], folder: Path, progress: Task) -> dict[str, Stack]:
    """Make the cleaned copies of stacks that variants of a design see, in ``<study>/stacks``, or find them there.

    Args:
        design: what is compared.
        stacks: the samples.
        folder: the study's.
        progress: makes what shows the progress of a step.

    Returns:
        Name of a sample's store -> its copy; nothing where no variant sees one.
    """
    if not any(name.endswith(CLEANED) for name in design.variants):
        return {}
    (folder / "stacks").mkdir(exist_ok=True)
    validation = validation_of(read_study_variant(design.variants[0]), design)
    return {
        each.store_name: cleaned_stack(
            each, folder / "stacks" / f"{each.store_name}_cleaned.ome.zarr", validation, progress
        )
        for each in stacks
    }


def _check_alike(design: Design, stacks: Sequence[Stack]) -> None:
    """Check that models of one stack can be tested on all others."""
    first, *others = stacks
    variants = [*map(read_study_variant, design.variants)]
    detectors = [*dict.fromkeys(name for variant in variants for name in variant.detectors_of(first))]
    for name in detectors:
        for stack in others:
            if name not in stack.detectors:
                raise ConfigError(
                    f"{first.path} has detector {name!r}, and {stack.path} has {', '.join(stack.detectors)}: models "
                    "are also tested on the other stacks, so detector names must agree, including case; correct one "
                    "description and ingest again"
                )
    check_stacks(stacks, detectors, 1)


def _numbers(seeds: str | None) -> tuple[int, ...] | None:
    if seeds is None:
        return None
    words = [word.strip() for word in seeds.split(",")]
    if not all(word.isascii() and word.isdigit() for word in words):
        raise ConfigError(f"--seeds {seeds!r}: write integers separated by commas, such as 0,1,2")
    return tuple(map(int, words))


def _check_same(folder: Path, earlier: Design, design: Design) -> None:
    """Refuse a design that differs in more than further variants, seeds and artefacts."""
    may_grow = {
        "variants": (earlier.trained, design.trained),
        "seeds": (earlier.seeds, design.seeds),
        "robustness": (earlier.robustness.conditions, design.robustness.conditions),
    }
    for name, (before, now) in may_grow.items():
        gone = [str(each) for each in before if each not in now]
        if gone:
            raise ConfigError(
                f"{folder} holds a study with {name} {', '.join(gone)}, which are missing now; add them: omitting "
                "results after seeing them would bias the study"
            )
    for name, value in earlier:
        if name not in (*may_grow, "labels") and getattr(design, name) != value:
            raise ConfigError(
                f"{folder} holds a study with {name} {value!r}, and {getattr(design, name)!r} is given: its runs "
                "would not be comparable; choose another folder"
            )


def _check_samples(folder: Path, stacks: Sequence[Stack]) -> None:
    """Refuse to leave out a sample, or to take another one for it; annotations may change."""
    if not (folder / SAMPLES).is_file():  # of a version that did not write it
        return
    now = {stack.store_name: stack.ingested for stack in stacks}
    for name, ingested in json.loads((folder / SAMPLES).read_text(encoding="utf8")).items():
        if name not in now:
            raise ConfigError(
                f"{folder} holds a study with sample {name}, which is missing now; add {name}.ome.zarr: omitting "
                "results after seeing them would bias the study"
            )
        if now[name] != ingested:
            raise ConfigError(
                f"{folder} holds a study of another sample {name}, which has been ingested again: its runs would not "
                "be comparable; choose another folder"
            )
