"""The app as MONAI Label knows one: models, trainings, strategies and scores around one stack."""

import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from monailabel.config import settings as server_settings
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.tasks.activelearning.first import First
from monailabel.tasks.activelearning.random import Random
from monailabel.utils.others.generic import name_to_device

from monai_app.active_learning.slice_scores import SliceScore, score_slices
from monai_app.bundle.model import load_model
from monai_app.errors import AppError
from monai_app.inference import Predictor
from monai_app.label.background import Background
from monai_app.label.datastore.cases import Case
from monai_app.label.datastore.store import StackDatastore
from monai_app.label.datastore.temporary import held, new_path
from monai_app.label.datastore.volumes import ORIGINAL, prediction_tag
from monai_app.label.errors import BatchError, unknown_image, unknown_model
from monai_app.label.inference import Job, infer
from monai_app.label.methods import LeastSure, SliceScores, Uncertainty, measure_uncertainty
from monai_app.label.models import ServedModel, served_models
from monai_app.label.settings import Settings, Workspace
from monai_app.label.tasks import SegmentationTask, TrainingTask, read_device, read_flag
from monai_app.label.worker import InferenceProcess


class StackApp(MONAILabelApp):
    """Serves bundles on one stack. Nothing is downloaded, and only bundles that are trusted are loaded.

    Args:
        settings: what is served.
        workspace: the server's folder.
    """

    def __init__(self, settings: Settings, workspace: Workspace) -> None:
        self.store = StackDatastore(settings, workspace)
        self.settings, self.workspace = settings.replaced(ingested=self.store.cases.ingested), workspace
        self._process: InferenceProcess | None = None
        self.background = Background(self.settings, workspace)
        self._served = served_models(self.settings, self.workspace, self.store.stack)
        # Scores are computed when they are asked for; MONAI Label would do it at every turn, over HTTP.
        server_settings.MONAI_LABEL_AUTO_UPDATE_SCORING = False
        server_settings.MONAI_LABEL_SESSIONS = False
        stack = self.store.stack
        super().__init__(
            str(workspace.folder),
            str(workspace.folder),
            {},
            name=f"monai-app: {stack.name}",
            description=self.store.description(),
            labels=[phase.name for phase in stack.phases],
        )

    def init_datastore(self) -> StackDatastore:
        """Return the stack as a datastore."""
        return self.store

    def init_infers(self) -> dict[str, SegmentationTask]:
        """Return a task per bundle."""
        return {name: SegmentationTask(model, self.store) for name, model in self._served.items()}

    def init_trainers(self) -> dict[str, TrainingTask]:
        """Return a task per bundle."""
        return {name: TrainingTask(model, self._measure) for name, model in self._served.items()}

    def init_strategies(self) -> dict[str, Strategy]:
        """Return the ways to choose the next slice, the recommended one first: clients preselect it."""
        return {"least_sure": LeastSure(self.workspace, self._served), "first": First(), "random": Random()}

    def init_scoring_methods(self) -> dict[str, ScoringMethod]:
        """Return the ways to score slices."""
        return {
            "slices": SliceScores(self._served, self._label),
            "uncertainty": Uncertainty(
                self._served, {name: partial(self._scores, model) for name, model in self._served.items()}
            ),
        }

    def model(self, name: str) -> ServedModel:
        """Return a model by its name.

        Raises:
            UnknownError: there is none.
            StackError: the stack that it serves was replaced; processes in the background would find that out late.
        """
        if name not in self._served:
            raise unknown_model(name, self._served)
        _ = self.store.stack  # which raises
        return self._served[name]

    @property
    def strategies(self) -> tuple[str, ...]:
        """Names of the ways to choose the next slice."""
        return tuple(self._strategies)

    @property
    def scoring_methods(self) -> tuple[str, ...]:
        """Names of the ways to score slices."""
        return tuple(self._scoring_methods)

    def info(self) -> dict[str, Any]:
        """Return what clients show first."""
        colours = {phase.name: list(phase.rgb) for phase in self.store.stack.phases}
        return {**super().info(), "label_colors": colours}

    def infer(
        self, request: Mapping[str, Any], datastore: Any = None, cancelled: threading.Event | None = None
    ) -> dict[str, Any]:
        """Label an image.

        Args:
            request: ``model``; ``image``, the id of one, or ``volume``, the path of a file that the server keeps;
                ``device``; ``save_label`` and ``label_tag``; ``whole_slab``, whether all slices of a case are labelled
                and not its own alone: what a person did not look at shall not be submitted.
            datastore: not looked at: there is one.
            cancelled: set by others when nobody wants the labels any more.

        Returns:
            ``file`` with the labels, for the caller to remove, ``params`` for clients, ``label`` and ``tag``.

        Raises:
            AppError: there is no such model or image, it has no weights yet, or the inference fails or is cancelled.
        """
        model = self.model(str(request.get("model")))
        tag = prediction_tag(request) if request.get("save_label") else None
        with self._image(request) as image:
            job = self._job(model.trained_run(), image, request)
            params = self._run(job, cancelled)
        label = str(job.target)
        if tag is not None:
            try:
                label = self.store.save_label(
                    str(request["image"]), label, tag, {"model": model.name, "params": params}
                )
            except BaseException:
                job.target.unlink(missing_ok=True)
                raise
        return {"label": label, "tag": ORIGINAL, "file": str(job.target), "params": params}

    @contextmanager
    def _image(self, request: Mapping[str, Any]) -> Iterator[Case | Path]:
        """What a request is to label: a case, or a volume, which stays as it is while the body runs."""
        image, volume = str(request.get("image", "")), request.get("volume")
        case = self.store.case(image)
        if volume is not None:
            yield Path(str(volume))
        elif case is not None:
            yield case
        else:
            with held(self.workspace, self.store.uploads.path(image), unknown_image(image)) as path:
                yield path

    def _job(self, run: Path, image: Case | Path, request: Mapping[str, Any]) -> Job:
        store, settings = self.store, self.settings
        target, device = new_path(self.workspace, store.cases.suffix), settings.device or read_device(request)
        job = Job(run, store.path, target, device=device, memory=settings.memory, ingested=settings.ingested)
        if isinstance(image, Path):
            return replace(job, volume=image)
        slices = image.slices if read_flag(request, "whole_slab") else [image.z]
        return replace(job, slices=slices, first=image.first, grid=store.cases.grid(image))

    def batch_infer(self, request: Mapping[str, Any], datastore: Any = None) -> dict[str, Any]:
        """Label many images and keep the labels.

        Args:
            request: as MONAI Label's.
            datastore: not looked at: there is one.

        Raises:
            BatchError: some images cannot be labelled; the others are.
        """
        failed: dict[str, AppError] = {}

        def infer_or_note(each: Mapping[str, Any], _: Any) -> dict[str, Any]:
            try:
                return self.infer(each)
            except AppError as error:  # of one image that a client sent; MONAI Label would end the batch here
                failed[str(each["image"])] = error
                return {}

        result: dict[str, Any] = self._batch_infer(request, self.store, infer_or_note)
        if failed:
            image, error = next(iter(failed.items()))
            raise BatchError(
                f"{len(failed)} of {len(result)} images ({', '.join([*failed][:10])}) cannot be labelled, the others "
                f"are; {image}: {error}. Remove what cannot be labelled (DELETE /datastore/image?id=ID), or replace it"
            )
        return result

    def _run(self, job: Job, cancelled: threading.Event | None) -> dict[str, Any]:
        """A server has a process for inferences; a process that is no server is one."""
        with tempfile.TemporaryDirectory(dir=job.target.parent) as folder:  # a process that ends leaves half a file
            made = Path(folder) / job.target.name
            own = replace(job, target=made)
            params = infer(own) if self._process is None else self._process.run(own, cancelled)
            made.replace(job.target)
        return params

    def _label(self, model: ServedModel, image: str) -> Path:
        """Label an image and return the file, for the caller to remove."""
        return Path(self.infer({"model": model.name, "image": image})["file"])

    def _measure(self, model: ServedModel) -> None:
        measure_uncertainty(self.store, model, partial(self._scores, model))

    def _scores(self, model: ServedModel, slices: list[int]) -> Iterator[SliceScore]:
        predictor = Predictor(load_model(model.trained_run()), self.settings.device or name_to_device(None))
        return score_slices(self.store.stack, slices, predictor)

    def server_mode(self, mode: bool) -> None:
        """Start to serve: inferences then run in a process of their own."""
        super().server_mode(mode)
        self._process = InferenceProcess(self.settings.waiting) if mode else None

    def on_init_complete(self) -> None:
        """Do nothing: what MONAI Label does here, scores and sessions, is not used."""

    def close(self) -> None:
        """End what runs for this app."""
        self.background.close()
        if self._process is not None:
            self._process.close()
