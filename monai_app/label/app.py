"""The MONAI Label app: models, trainings, strategies and scores for one stack."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from monailabel.config import settings as server_settings
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.tasks.activelearning.first import First
from monailabel.tasks.activelearning.random import Random

from monai_app.background.worker import Worker
from monai_app.errors import AppError, StackError
from monai_app.files import file_sha256
from monai_app.label.datastore.cases import Case
from monai_app.label.datastore.sessions import Sessions
from monai_app.label.datastore.store import StackDatastore
from monai_app.label.datastore.temporary import held
from monai_app.label.datastore.volumes import ORIGINAL, prediction_tag
from monai_app.label.errors import unknown, unknown_image
from monai_app.label.jobs.segmentation import SegmentationTask
from monai_app.label.jobs.training import TrainingTask
from monai_app.label.models import ServedModel, served_models
from monai_app.label.settings import Settings, Workspace
from monai_app.label.strategies import MostUncertain, SliceScores, Uncertainty, measure_uncertainty


class StackApp(MONAILabelApp):
    """Serves bundles for one stack. Nothing is downloaded, and only trusted bundles are loaded.

    Computations are called in threads of the server (`anyio.to_thread`), where they wait for the worker.
    """

    def __init__(self, settings: Settings, workspace: Workspace) -> None:
        self.store = StackDatastore(settings, workspace)
        self.settings, self.workspace = settings.replaced(ingested=self.store.stack.ingested), workspace
        self.worker = Worker(settings.waiting)
        stack = self.store.stack
        self.models = served_models(self.settings, workspace, stack)
        self._tasks = {
            name: SegmentationTask(model, self.store, self.settings, self.worker) for name, model in self.models.items()
        }
        # Scores are computed on request; MONAI Label would compute them periodically over HTTP.
        server_settings.MONAI_LABEL_AUTO_UPDATE_SCORING = False
        server_settings.MONAI_LABEL_SESSIONS = False
        name, labels = f"monai-app: {stack.name}", [phase.name for phase in stack.phases]
        folder = str(workspace.folder)
        super().__init__(folder, folder, {}, name=name, description=self.store.description(), labels=labels)

    def init_datastore(self) -> StackDatastore:
        """Return the stack as a datastore."""
        return self.store

    def init_infers(self) -> dict[str, SegmentationTask]:
        """Return a task per bundle."""
        return self._tasks

    def init_trainers(self) -> dict[str, TrainingTask]:
        """Return a task per bundle."""
        return {
            name: TrainingTask(
                task.model, lambda: self.store.stack, partial(measure_uncertainty, self.store, task.model, task.measure)
            )
            for name, task in self._tasks.items()
        }

    def init_strategies(self) -> dict[str, Strategy]:
        """Return the strategies for choosing the next slice; clients preselect the first one."""
        return {"least_sure": MostUncertain(self.workspace, self.models), "first": First(), "random": Random()}

    def init_scoring_methods(self) -> dict[str, ScoringMethod]:
        """Return the scoring methods."""
        return {"slices": SliceScores(self.models, self.infer), "uncertainty": Uncertainty(self._tasks)}

    @property
    def scoring_methods(self) -> list[str]:
        """Names of the scoring methods."""
        return list(self._scoring_methods)

    def model(self, name: str) -> ServedModel:
        """Return a model by its name.

        Raises:
            NotFoundError: there is none.
            StackError: the stack was replaced, which background work would notice only late.
        """
        if name not in self.models:
            raise unknown("model", name, self.models)
        _ = self.store.stack  # which raises
        return self.models[name]

    def sessions(self) -> Sessions:
        """Return the sessions."""
        return self.store.sessions

    def info(self) -> dict[str, Any]:
        """Return the app's description for clients."""
        colours = {phase.name: list(phase.rgb) for phase in self.store.stack.phases}
        return {**super().info(), "label_colors": colours}

    def next_sample(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the image to label next; empty if there is none.

        Raises:
            NotFoundError: there is no such strategy or model.
        """
        strategy = str(request.get("strategy"))
        if strategy not in self._strategies:
            raise unknown("strategy", strategy, self._strategies)
        chosen: dict[str, Any] = super().next_sample(request)
        if chosen:
            # Clients cache files by name and checksum, and clients on this machine would open the server's own file.
            chosen["checksum"] = f"SHA256:{file_sha256(Path(chosen.pop('path')))}"
        return chosen

    def infer(self, request: Mapping[str, Any], datastore: Any = None, *, refusable: bool = True) -> dict[str, Any]:
        """Label an image: an id, or the path of a file that a client sent, as `SegmentationTask` does.

        Returns:
            ``file`` with the labels, for the caller to remove, ``params`` for clients, ``label`` and ``tag``.

        Raises:
            AppError: there is no such model or image, it has no weights yet, or the inference fails or is cancelled.
        """
        model, name = self.model(str(request.get("model"))), str(request.get("image", ""))
        with self._image(name) as image:
            file, params = self._tasks[model.name]({**request, "image": image}, refusable=refusable)
        label = str(file)
        if request.get("save_label") and not self._is_sent(Path(name)):
            try:
                origin = {"model": model.name, "params": params}
                label = self.store.save_label(name, label, prediction_tag(request), origin)
            except BaseException:
                file.unlink(missing_ok=True)
                raise
        return {"label": label, "tag": ORIGINAL, "file": str(file), "params": params}

    @contextmanager
    def _image(self, name: str) -> Iterator[Case | Path]:
        """Yield the image of a request: a case, or a volume that is held while the body runs."""
        case, sent = self.store.case(name), Path(name)
        if case is not None or sent.parent == self.workspace.temporary:
            yield case or sent
            return
        volume = sent if self._is_sent(sent) else self.store.uploads.path(name)
        with held(self.workspace, volume, unknown_image(name)) as path:
            yield path

    def _is_sent(self, path: Path) -> bool:
        """Whether a path is that of a file from a request or session, whose name only that client knows."""
        return path.parent in (self.workspace.temporary, self.workspace.sessions) and not path.is_symlink()

    def batch_infer(self, request: Mapping[str, Any], datastore: Any = None) -> dict[str, Any]:
        """Label many images and save the labels.

        Raises:
            StackError: some images cannot be labelled; the others are.
        """
        failed: dict[str, AppError] = {}

        def infer_or_note(each: Mapping[str, Any], _: Any) -> dict[str, Any]:
            try:
                return self.infer(each, refusable=False)
            except AppError as error:  # of one uploaded image; MONAI Label would stop the batch here
                failed[str(each["image"])] = error
                return {}

        # Without a GPU, MONAI Label divides by their number unless multi-GPU is off.
        request = {**request, "multi_gpu": False, "max_workers": 1}
        result: dict[str, Any] = self._batch_infer(request, self.store, infer_or_note)
        if failed:
            image, error = next(iter(failed.items()))
            raise StackError(
                f"{len(failed)} of {len(result)} images ({', '.join([*failed][:10])}) cannot be labelled; {image}: "
                f"{error}. Remove or replace them (DELETE /datastore/image?id=ID); the others are labelled"
            )
        return result
