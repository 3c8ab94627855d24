"""Choosing the next slice as MONAI Label's strategy, from what was measured of slices before."""

import logging
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.utils.others.generic import name_to_device

from monai_app.bundle.model import load_model
from monai_app.files import file_sha256
from monai_app.inference import Predictor
from monai_app.label.datastore import StackDatastore
from monai_app.label.errors import NotTrainedError, UnknownError
from monai_app.label.models import ServedModel
from monai_app.label.selection import propose
from monai_app.label.settings import Settings, Workspace
from monai_app.label.slice_scores import ScoreFile, SliceScore, score_slices
from monai_app.progress import LoggedProgress
from monai_app.stack import Stack
from monai_app.stack.edits import image_identity

_log = logging.getLogger(__name__)

_SAVED = 8
"""Slices after which what was measured is written: a stopped measuring goes on there."""


class LeastSure(Strategy):
    """Proposes the slice in which the model is least sure and which is least like those that are labelled.

    Without a model, or as long as nothing was measured of it, looks and places of the slices decide.
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
        cases = {case.z: case for case in datastore.cases.all()}
        labelled = {*stack.train_slices, *stack.test_slices}
        open_slices = set(cases) - labelled
        if not open_slices:
            return None
        scores, model = self._scores(request.get("model"), stack, {*cases, *labelled})
        chosen = propose(scores, labelled, open_slices)
        return {"id": cases[chosen.z].id, **chosen.to_dict(), "model": model}

    def _scores(
        self, name: str | None, stack: Stack, wanted: set[int]
    ) -> tuple[dict[int, SliceScore], str | None]:
        """What was measured with a model, where that is complete; else how the slices look."""
        if name is not None and name not in self.models:
            raise UnknownError(f"there is no model {str(name)[:120]!r}; the models are {', '.join(self.models)}")
        for model in self.models.values() if name is None else [self.models[name]]:
            if model.weights is not None:
                known = _file(self.workspace, stack, model).read()
                if wanted <= set(known):
                    return known, model.name
        return _appearance(self.workspace, stack, wanted), None


class Uncertainty(ScoringMethod):
    """Measures how sure a model is of every slice; a training does it at its end."""

    def __init__(self, workspace: Workspace, models: Mapping[str, ServedModel], settings: Settings) -> None:
        super().__init__("how sure a model is of every slice, for the strategy least_sure")
        self.workspace, self.models, self.settings = workspace, models, settings

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Measure and return the uncertainty per slice.

        Raises:
            UnknownError: ``model`` names none.
            NotTrainedError: it has no weights yet.
        """
        assert isinstance(datastore, StackDatastore)
        name = str(request.get("model") or next(iter(self.models)))
        if name not in self.models:
            raise UnknownError(f"there is no model {name[:120]!r}; the models are {', '.join(self.models)}")
        scores = measure_uncertainty(self.workspace, self.models[name], datastore, self.settings)
        return {str(z): score.uncertainty for z, score in scores.items()}


def measure_uncertainty(
    workspace: Workspace, model: ServedModel, datastore: StackDatastore, settings: Settings
) -> dict[int, SliceScore]:
    """Measure every slice that may be labelled, and those that are, with the weights that count now.

    Raises:
        NotTrainedError: there are none.
    """
    if model.run is None:
        raise NotTrainedError(f"model {model.name} has no weights yet; train it first")
    stack = datastore.stack
    kept = _file(workspace, stack, model)
    scores = kept.read()
    wanted = {*(case.z for case in datastore.cases.all()), *stack.train_slices, *stack.test_slices}
    left = sorted(wanted - set(scores))
    if left:
        predictor = Predictor(load_model(model.run), settings.device or name_to_device(None))
        with closing(score_slices(stack, left, predictor, progress=LoggedProgress("uncertainty"))) as found:
            for number, score in enumerate(found, 1):
                scores[score.z] = score
                if number % _SAVED == 0:
                    kept.write(scores)
        kept.write(scores)
    return scores


def _appearance(workspace: Workspace, stack: Stack, wanted: set[int]) -> dict[int, SliceScore]:
    kept = ScoreFile(workspace.scores / "appearance.json", image_identity(stack), None)
    scores = kept.read()
    left = sorted(wanted - set(scores))
    if left:
        scores |= {score.z: score for score in score_slices(stack, left)}
        kept.write(scores)
    return scores


def _file(workspace: Workspace, stack: Stack, model: ServedModel) -> ScoreFile:
    assert model.weights is not None
    return ScoreFile(workspace.scores / f"{model.name}.json", image_identity(stack), file_sha256(model.weights))
