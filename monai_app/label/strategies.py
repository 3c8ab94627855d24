"""MONAI Label's strategies, which choose slices, and scoring methods."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy

from monai_app.active_learning.agreement import score_agreement
from monai_app.active_learning.score_file import Measure, ScoreFile, complete_scores
from monai_app.active_learning.selection import next_slice
from monai_app.active_learning.slice_scores import SliceScore, score_slices
from monai_app.bundle.runs import WEIGHTS
from monai_app.errors import NotFoundError
from monai_app.io import Labels, read_volume
from monai_app.label.datastore.store import StackDatastore
from monai_app.label.errors import unknown
from monai_app.label.jobs.segmentation import SegmentationTask
from monai_app.label.models import ServedModel
from monai_app.label.settings import Workspace
from monai_app.networks.calibration import weights_and_temperature
from monai_app.stack import Stack

Models = Mapping[str, ServedModel]
Chosen = TypeVar("Chosen")


class MostUncertain(Strategy):
    """Proposes the slice with the highest model uncertainty and the least similarity to labelled ones.

    Without a model or measurements of it, appearance and position of the slices decide.
    """

    def __init__(self, workspace: Workspace, models: Models) -> None:
        super().__init__("the slice with the highest model uncertainty that is least similar to the labelled ones")
        self.workspace, self.models = workspace, models

    def __call__(self, request: Mapping[str, Any], datastore: StackDatastore) -> dict[str, Any] | None:
        """Return the case to label next; None if all are labelled.

        Raises:
            NotFoundError: ``model`` is unknown.
        """
        stack, cases = datastore.stack, {case.z: case.id for case in datastore.cases}
        scores, model = self._scores(request.get("model"), stack, _wanted(datastore, stack))
        chosen = next_slice(scores, cases, stack.train_slices, stack.test_slices, datastore.cases.test_slices)
        return None if chosen is None else {"id": cases[chosen.z], **chosen.to_dict(), "model": model}

    def _scores(self, name: str | None, stack: Stack, wanted: set[int]) -> tuple[dict[int, SliceScore], str | None]:
        """Return the measured uncertainty of a model if it is complete, otherwise the appearance of the slices."""
        for model in self.models.values() if name is None else [_chosen(self.models, name)]:
            if model.run is not None:
                known = _file(self.workspace, stack, model, model.run / WEIGHTS).read()
                if wanted <= set(known):
                    return known, model.name
        looks = ScoreFile(self.workspace.scores / "appearance.json", stack.ingested, None)
        return complete_scores(looks, wanted, partial(score_slices, stack)), None


class Uncertainty(ScoringMethod):
    """Measures the uncertainty of a model on every slice; this also happens after training."""

    def __init__(self, tasks: Mapping[str, SegmentationTask]) -> None:
        super().__init__("uncertainty of a model on every slice, for the strategy least_sure")
        self.tasks = tasks

    def __call__(self, request: Mapping[str, Any], datastore: StackDatastore) -> dict[str, Any]:
        """Measure and return the uncertainty per slice.

        Raises:
            NotFoundError: ``model`` is unknown.
            NotTrainedError: it has no weights yet.
        """
        task = _chosen(self.tasks, request.get("model"))
        scores = measure_uncertainty(datastore, task.model, task.measure)
        return {str(z): score.uncertainty for z, score in sorted(scores.items())}


class SliceScores(ScoringMethod):
    """Compares predictions of a model with labels, slice by slice."""

    def __init__(self, models: Models, infer: Callable[..., Mapping[str, Any]]) -> None:
        super().__init__("IoU and accuracy of a model on every labelled slice and on all of them")
        self.models, self.infer = models, infer

    def __call__(self, request: Mapping[str, Any], datastore: StackDatastore) -> dict[str, Any]:
        """Score the labelled cases.

        Returns:
            ``model``, ``run``, ``slices`` (z: scores, with the ``role`` of the slice), and ``total`` of test slices and
            of training slices separately, because scores on training slices do not show how good a model is.

        Raises:
            NotFoundError: ``model`` is unknown, or nothing is labelled.
            NotTrainedError: it has no weights yet.
        """
        model, stack = _chosen(self.models, request.get("model")), datastore.stack
        result: dict[str, Any] = {"model": model.name, "run": model.trained_run().name, "slices": {}, "total": {}}
        cases = {case.z: case for case in datastore.cases}
        for role, slices in (("train", stack.train_slices), ("test", stack.test_slices)):
            compared = (
                (z, stack.read_annotation(z), self._labels(model, cases[z].id, cases[z].slices.index(z)))
                for z in sorted(cases.keys() & set(slices))
            )
            found = score_agreement(compared, stack.phases)
            for row in found.slices:
                result["slices"][str(row.z)] = row_scores = {**row.to_dict(), "role": role}
                datastore.update_image_info(cases[row.z].id, {"score": {"model": model.name, **row_scores}})
            if found.slices:
                result["total"][role] = {"mean_iou": found.mean_iou, "pixel_accuracy": found.total.pixel_accuracy}
        if not result["slices"]:
            raise NotFoundError("nothing is labelled yet, so there is nothing to compare; label a slice first")
        return result

    def _labels(self, model: ServedModel, image: str, plane: int) -> Labels:
        """Return the model's labels of a slice of an image."""
        path = Path(self.infer({"model": model.name, "image": image}, refusable=False)["file"])
        try:
            labels: Labels = read_volume(path).pixels[plane].astype(np.uint8)
            return labels
        finally:
            path.unlink(missing_ok=True)


def measure_uncertainty(datastore: StackDatastore, model: ServedModel, measure: Measure) -> dict[int, SliceScore]:
    """Measure every slice that may be or is labelled with the active weights.

    Raises:
        NotTrainedError: there are none.
    """
    run, stack = model.trained_run(), datastore.stack
    kept = _file(datastore.workspace, stack, model, run / WEIGHTS)
    # If a training ends meanwhile, its weights are active and measured again; these measurements are obsolete.
    return complete_scores(kept, _wanted(datastore, stack), measure, lambda: model.run == run)


def _wanted(datastore: StackDatastore, stack: Stack) -> set[int]:
    return {*(case.z for case in datastore.cases), *stack.roles}


def _chosen(models: Mapping[str, Chosen], name: Any) -> Chosen:
    """Return the entry of a model; the first one if no model is given."""
    wanted = next(iter(models)) if name is None else str(name)
    if wanted not in models:
        raise unknown("model", wanted, models)
    return models[wanted]


def _file(workspace: Workspace, stack: Stack, model: ServedModel, weights: Path) -> ScoreFile:
    return ScoreFile(workspace.scores / f"{model.name}.json", stack.ingested, weights_and_temperature(weights))
