"""MONAI Label's tasks: what clients can ask of a model, and how it is done."""

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from anyio import from_thread
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.utils.others.generic import device_list, name_to_device

from monai_app.active_learning.slice_scores import SliceScore
from monai_app.bundle.prepare import CHECKPOINT
from monai_app.device.choose import chosen_device
from monai_app.errors import ConfigError
from monai_app.label.datastore.case_files import Case
from monai_app.label.datastore.store import StackDatastore
from monai_app.label.datastore.temporary import new_path
from monai_app.label.jobs.inference import Inference, infer, measure
from monai_app.label.jobs.training import train
from monai_app.label.jobs.worker import Worker
from monai_app.label.methods import measure_uncertainty
from monai_app.label.models import ServedModel
from monai_app.label.settings import Settings
from monai_app.training import epochs_done


class SegmentationTask(InferTask):
    """Applies a model in the worker. It is called in a thread of the server.

    Args:
        model: the model.
        store: the stack's images.
        settings: what is served.
        worker: the process that applies models.
    """

    def __init__(self, model: ServedModel, store: StackDatastore, settings: Settings, worker: Worker) -> None:
        self.model, self.store, self.settings, self.worker = model, store, settings, worker
        phases = store.stack.phases
        description = f"{model.name}: labels every slice of a case with the phases {', '.join(p.name for p in phases)}"
        labels = {phase.name: phase.value for phase in phases}
        super().__init__(InferType.SEGMENTATION, labels, 3, description, {"device": device_list(), "whole_slab": False})
        self.colours = {phase.name: list(phase.rgb) for phase in phases}

    def info(self) -> dict[str, Any]:
        """Return what clients are told: phases and their colours, and which training counts."""
        told: dict[str, Any] = super().info()
        return {**told, "type": InferType.SEGMENTATION.value, "label_colors": self.colours, "run": self.model.run_name}

    def is_valid(self) -> bool:
        """Whether the model is shown to clients: always, because one that is not trained yet can be trained."""
        return True

    def __call__(self, request: Mapping[str, Any], *, refusable: bool = True) -> tuple[Path, dict[str, Any]]:
        """Label an image.

        Args:
            request: ``image``, a `Case` or the path of a volume; ``device``; ``whole_slab``, whether all slices of a
                case are labelled and not its own alone: what a person did not look at shall not be submitted.
            refusable: refuse it where as many inferences wait as may.

        Returns:
            The label volume, for the caller to remove, and what clients are told of it.

        Raises:
            AppError: the model has no weights yet, or the inference fails, is refused or cancelled.
        """
        store, image = self.store, request["image"]
        target = new_path(store.workspace, store.cases.suffix)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:  # a process that ends leaves half a file
            made = Path(folder) / target.name
            wanted = self._inference(image, made, request)
            params = from_thread.run(partial(self.worker.run, infer, wanted, refusable=refusable))
            made.replace(target)
        return target, params

    def _inference(self, image: Case | Path, target: Path, request: Mapping[str, Any]) -> Inference:
        settings = self.settings
        common = partial(
            Inference,
            self.model.trained_run(),
            self.store.path,
            target,
            device=settings.device or read_device(request.get("device")),
            memory=settings.memory,
            ingested=settings.ingested,
        )
        if isinstance(image, Path):
            return common(volume=image)
        slices = image.slices if request.get("whole_slab") else [image.z]
        return common(slices=slices, first=image.first, grid=self.store.cases.grid(image))

    def measure(self, slices: list[int]) -> list[SliceScore]:
        """Measure how sure the model is of slices."""
        settings, device = self.settings, self.settings.device or read_device(None)
        work = (measure, self.model.trained_run(), self.store.path, slices, device, settings.ingested)
        return from_thread.run(partial(self.worker.run, *work, refusable=False))


class TrainingTask(TrainTask):
    """Trains a model on the labels that were submitted, and measures what it is sure of.

    Args:
        segmentation: applies the model.
    """

    def __init__(self, segmentation: SegmentationTask) -> None:
        self.model, self.segmentation = segmentation.model, segmentation
        super().__init__(f"train {self.model.name} on the labelled slices; unlabelled pixels are left out")

    def config(self) -> dict[str, Any]:
        """Return the options that clients show, with what is taken where they are left alone (0: the model's own)."""
        return {"max_epochs": 0, "pretrained": True, "resume": True}

    def stats(self) -> dict[str, Any]:
        """Return which run counts, and of an unfinished one MONAI's ``epoch`` and ``total_epochs``."""
        told, unfinished = {"run": self.model.run_name}, self.model.unfinished
        return told if unfinished is None else {**told, "unfinished": unfinished.name, **_epochs(unfinished)}

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train.

        Args:
            request: ``log``, the file of what it says; and the options.
            datastore: the stack.

        Returns:
            The run's name.

        Raises:
            AppError: as `train` says.
        """
        assert isinstance(datastore, StackDatastore)
        options = {name: request[name] for name in ("pretrained", "resume")}
        run = train(self.model, datastore.stack, request["log"], epochs=request["max_epochs"], **options)
        measure_uncertainty(datastore, self.model, self.segmentation.measure)
        return {"run": run.name}


def _epochs(unfinished: Path) -> dict[str, int]:
    """How far a run came, in the words of MONAI's trainers; nothing where no epoch was complete."""
    try:
        done = epochs_done(unfinished / CHECKPOINT)
    except ConfigError:  # the next training says what is wrong, and begins anew
        done = None
    return {} if done is None else {"epoch": done[0], "total_epochs": done[1]}


def read_device(given: str | list[str] | None) -> str:
    """Read where a client wants a model to be applied; clients send a name of ``device_list`` or several.

    Raises:
        ConfigError: this machine has no such device.
    """
    wanted = given[0] if isinstance(given, list) and given else given
    return str(chosen_device(str(name_to_device(wanted or None))))
