"""Label the test slices of the other samples with every run, and count what is right."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.files import file_sha256, write_json
from monai_app.metrics import count_pixels, mean_iou
from monai_app.progress import Progress, silent
from monai_app.stack import Stack
from monai_app.study.baselines.cleaned_images import CleanedImages
from monai_app.study.baselines.cleaned_stack import cleaning_of
from monai_app.study.baselines.process import RESULT
from monai_app.study.execution import is_done
from monai_app.study.prediction import SlicePredictor, slice_predictor
from monai_app.study.runs import StudyRun

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Transferred:
    """What a run reaches on the test slices of the samples that it was not trained on.

    Attributes:
        run: the run.
        counts: name of a sample's store -> pixels (K, K), [true][predicted], of all of its test slices.
    """

    run: StudyRun
    counts: Mapping[str, Counts]

    def score(self, sample: str) -> float:
        """Mean IoU on a sample."""
        return mean_iou(self.counts[sample])


def measure_transfer(runs: Sequence[StudyRun], stacks: Sequence[Stack], progress: Progress = silent) -> None:
    """Score the runs that are done on the samples that they were not trained on, and keep that in a file beside each.

    What a file holds of the same model and the same annotations is not measured again. Grey values are scaled as those
    of the training, and variants that see cleaned images see all samples cleaned with the strengths that were chosen
    on the one that they were trained on.

    Args:
        runs: the study's.
        stacks: all samples, raw.
        progress: called for every slice that is labelled.

    Raises:
        AppError: a run folder or a slice is damaged.
    """
    done = [run for run in runs if is_done(run)] if len(stacks) > 1 else []
    work = [(run, missing) for run in done if (missing := _missing(run, stacks))]
    total = sum(len(stack.test_slices) for _, missing in work for stack in missing)
    labelled = 0
    for run, missing in work:
        progress(labelled, total)
        predict = slice_predictor(run)
        found = _read(run, stacks)
        for stack in missing:
            found[stack.store_name] = _count(run, predict, stack)
            labelled += len(stack.test_slices)
            progress(labelled, total)
        _write(run, {stack.store_name: stack for stack in stacks}, found)


def read_transferred(runs: Sequence[StudyRun], stacks: Sequence[Stack]) -> Iterator[Transferred]:
    """Give the runs that were scored on all samples that they were not trained on, as these are annotated now."""
    for run in runs:
        if len(stacks) > 1 and is_done(run) and not _missing(run, stacks):
            yield Transferred(run, _read(run, stacks))


def _missing(run: StudyRun, stacks: Sequence[Stack]) -> list[Stack]:
    known = _read(run, stacks)
    return [stack for stack in stacks if stack.store_name not in (run.sample, *known)]


def _count(run: StudyRun, predict: SlicePredictor, stack: Stack) -> Counts:
    phases = len(stack.phases)
    images = CleanedImages(stack, cleaning_of(run.stack)) if run.variant.cleaned else stack
    counts = [count_pixels(stack.read_annotation(z), predict(images, z), phases) for z in stack.test_slices]
    return np.sum(counts, axis=0)


def _file(run: StudyRun) -> Path:
    return run.folder.with_name(f"{run.folder.name}_transfer.json")


def _of(run: StudyRun) -> dict[str, str]:
    """What is scored: a model, and what it was trained on."""
    model = run.folder / ("models/model.pt" if run.variant.is_network else RESULT)
    return {"model_sha256": file_sha256(model), "trained_on": run.stack.identity}


def _read(run: StudyRun, stacks: Sequence[Stack]) -> dict[str, Counts]:
    """Read what is measured: name of a sample's store -> counts; nothing of other models or annotations."""
    try:
        document: dict[str, Any] = json.loads(_file(run).read_text(encoding="utf8"))
    except FileNotFoundError:
        return {}
    if document["of"] != _of(run):
        return {}
    now = {stack.store_name: stack.identity for stack in stacks}
    return {
        each["sample"]: np.array(each["confusion"], np.int64)
        for each in document["tested_on"]
        if now.get(each["sample"]) == each["identity"]
    }


def _write(run: StudyRun, stacks: Mapping[str, Stack], found: Mapping[str, Counts]) -> None:
    rows = [
        {"sample": name, "identity": stacks[name].identity, "confusion": counts.tolist()}
        for name, counts in found.items()
    ]
    write_json(_file(run), {"of": _of(run), "tested_on": rows})
