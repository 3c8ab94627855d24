"""How slices are chosen and scored, as MONAI Label's strategies and scoring methods."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy

from monai_app.active_learning.scoring import score_agreement
from monai_app.active_learning.selection import propose
from monai_app.active_learning.slice_scores import ScoreFile, SliceScore, score_slices
from monai_app.files import file_sha256
from monai_app.io import read_volume
from monai_app.label.datastore.case_files import Case
from monai_app.label.datastore.store import StackDatastore
from monai_app.label.errors import UnknownError, unknown
from monai_app.label.models import WEIGHTS, ServedModel
from monai_app.label.settings import Workspace
from monai_app.stack import Stack

Labels = npt.NDArray[np.uint8]

Measure = Callable[[list[int]], list[SliceScore]]
"""Measures how sure a model is of slices."""

_log = logging.getLogger(__name__)

_SAVED = 8
"""Slices after which what was measured is written: a stopped measuring goes on there."""


_BEFORE_TESTING = 3
"""Slices to train on that are labelled before one is proposed that tests."""


class LeastSure(Strategy):
    """Proposes the slice in which the model is least sure and which is least like those that are labelled.

    Without a model, or as long as nothing was measured of it, looks and places of the slices decide. Slices that are
    kept for testing are proposed when three slices to train on are labelled: they tell how good the model is, and what
    is labelled on them makes no other slice less worth labelling.
    """

    def __init__(self, workspace: Workspace, models: Mapping[str, ServedModel]) -> None:
        super().__init__("the slice that the model is least sure of and that is least like the labelled ones")
        self.workspace, self.models = workspace, models

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """Return the case to label next; None where all are labelled.

        Raises:
            UnknownError: ``model`` names none.
        """
        assert isinstance(datastore, StackDatastore)
        stack = datastore.stack
        cases = {case.z: case for case in datastore.cases}
        trained, tested = set(stack.train_slices), set(stack.test_slices)
        kept = datastore.cases.test_slices | tested
        to_train, to_test = set(cases) - trained - kept, (set(cases) & kept) - tested
        if to_test and (len(trained) >= _BEFORE_TESTING or not to_train):
            z = min(to_test)
            return {"id": cases[z].id, "z": z, "region": None, "model": None}
        if not to_train:
            return None
        scores, model = self._scores(request.get("model"), stack, {*cases, *trained, *tested})
        chosen = propose(scores, trained, to_train)
        return {"id": cases[chosen.z].id, **chosen.to_dict(), "model": model}

    def _scores(self, name: str | None, stack: Stack, wanted: set[int]) -> tuple[dict[int, SliceScore], str | None]:
        """What was measured with a model, where that is complete; else how the slices look."""
        for model in self.models.values() if name is None else [_chosen(self.models, name)]:
            if model.run is not None:
                known = _file(self.workspace, stack, model, model.run / WEIGHTS).read()
                if wanted <= set(known):
                    return known, model.name
        return _appearance(self.workspace, stack, wanted), None


class Uncertainty(ScoringMethod):
    """Measures how sure a model is of every slice; a training does it at its end."""

    def __init__(self, models: Mapping[str, ServedModel], measures: Mapping[str, Measure]) -> None:
        super().__init__("how sure a model is of every slice, for the strategy least_sure")
        self.models, self.measures = models, measures

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Measure and return the uncertainty per slice.

        Raises:
            UnknownError: ``model`` names none.
            NotTrainedError: it has no weights yet.
        """
        assert isinstance(datastore, StackDatastore)
        model = _chosen(self.models, request.get("model"))
        scores = measure_uncertainty(datastore, model, self.measures[model.name])
        return {str(z): score.uncertainty for z, score in scores.items()}


class SliceScores(ScoringMethod):
    """Compares what a model says with what was labelled, slice by slice."""

    def __init__(self, models: Mapping[str, ServedModel], label: Callable[[ServedModel, str], Path]) -> None:
        super().__init__("IoU and accuracy of a model on every labelled slice, and on all of them together")
        self.models, self.label = models, label

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Score the labelled cases.

        Returns:
            ``model``, ``run``, ``slices`` (z: scores, with the ``role`` of the slice), and ``total`` of test slices and
            of training slices apart, because a model is no judge of what it was trained on.

        Raises:
            UnknownError: ``model`` names none, or nothing is labelled.
            NotTrainedError: it has no weights yet.
        """
        assert isinstance(datastore, StackDatastore)
        model = _chosen(self.models, request.get("model"))
        run = model.trained_run()
        stack = datastore.stack
        cases = [case for case in datastore.cases if case.z in (*stack.train_slices, *stack.test_slices)]
        if not cases:
            raise UnknownError("nothing is labelled yet, so nothing can be compared; label a slice first")
        result: dict[str, Any] = {"model": model.name, "run": run.name, "slices": {}, "total": {}}
        for role, chosen in (("train", stack.train_slices), ("test", stack.test_slices)):
            compared = (self._compared(case, model, stack) for case in cases if case.z in chosen)
            found = score_agreement(compared, stack.phases)
            rows = {row.z: {**row.to_dict(), "role": role} for row in found.slices}
            result["slices"] |= {str(z): row for z, row in rows.items()}
            if rows:
                result["total"][role] = {"mean_iou": found.mean_iou, "pixel_accuracy": found.total.pixel_accuracy}
            for case in cases:
                if case.z in rows:
                    datastore.update_image_info(case.id, {"score": {"model": model.name, **rows[case.z]}})
        return result

    def _compared(self, case: Case, model: ServedModel, stack: Stack) -> tuple[int, Labels, Labels]:
        """Slice, annotation, and what the model says."""
        path = self.label(model, case.id)
        try:
            labels = read_volume(path).pixels[case.z - case.first].astype(np.uint8)
        finally:
            path.unlink(missing_ok=True)
        return case.z, stack.read_annotation(case.z), labels


def measure_uncertainty(datastore: StackDatastore, model: ServedModel, measure: Measure) -> dict[int, SliceScore]:
    """Measure every slice that may be labelled, and those that are, with the weights that count now.

    Raises:
        NotTrainedError: there are none.
    """
    run, stack = model.trained_run(), datastore.stack
    kept = _file(datastore.workspace, stack, model, run / WEIGHTS)
    scores = kept.read()
    left = sorted({*(case.z for case in datastore.cases), *stack.train_slices, *stack.test_slices} - set(scores))
    for done in range(0, len(left), _SAVED):
        scores |= {score.z: score for score in measure(left[done : done + _SAVED])}
        _log.info("uncertainty: %d of %d slices", min(done + _SAVED, len(left)), len(left))
        # When a training ends meanwhile, what is kept is measured with its weights, and these count no more.
        if model.run == run:
            kept.write(scores)
    return scores


def _chosen(models: Mapping[str, ServedModel], name: Any) -> ServedModel:
    """The model of a name; the first where none is given."""
    wanted = next(iter(models)) if name is None else str(name)
    if wanted not in models:
        raise unknown("model", wanted, models)
    return models[wanted]


def _appearance(workspace: Workspace, stack: Stack, wanted: set[int]) -> dict[int, SliceScore]:
    kept = ScoreFile(workspace.scores / "appearance.json", stack.ingested, None)
    scores = kept.read()
    left = sorted(wanted - set(scores))
    if left:
        scores |= {score.z: score for score in score_slices(stack, left)}
        kept.write(scores)
    return scores


def _file(workspace: Workspace, stack: Stack, model: ServedModel, weights: Path) -> ScoreFile:
    return ScoreFile(workspace.scores / f"{model.name}.json", stack.ingested, file_sha256(weights))
