"""MONAI Label's inference task, run by the worker."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from monailabel.utils.others.generic import device_list, name_to_device

from monai_app.active_learning.slice_scores import SliceScore
from monai_app.background.worker import Worker
from monai_app.device.choose import chosen_device
from monai_app.label.datastore.store import StackDatastore
from monai_app.label.datastore.temporary import new_path
from monai_app.label.jobs.inference import Inference, infer, measure
from monai_app.label.models import ServedModel
from monai_app.label.settings import Settings


class SegmentationTask(InferTask):
    """Applies a model in the worker. It is called in a thread of the server."""

    def __init__(self, model: ServedModel, store: StackDatastore, settings: Settings, worker: Worker) -> None:
        self.model, self.store, self.settings, self.worker = model, store, settings, worker
        phases = store.stack.phases
        description = f"{model.name}: label every slice of a case with the phases {', '.join(p.name for p in phases)}"
        labels = {phase.name: phase.value for phase in phases}
        super().__init__(InferType.SEGMENTATION, labels, 3, description, {"device": device_list(), "whole_slab": False})
        self.colours = {phase.name: list(phase.rgb) for phase in phases}

    def info(self) -> dict[str, Any]:
        """Return the description for clients: phases, their colours, and the active run."""
        inherited: dict[str, Any] = super().info()
        return {
            **inherited,
            "type": InferType.SEGMENTATION.value,
            "label_colors": self.colours,
            "run": self.model.run_name,
        }

    def is_valid(self) -> bool:
        """Whether clients see the model: always, because an untrained one can be trained."""
        return True

    def __call__(self, request: Mapping[str, Any], *, refusable: bool = False) -> tuple[Path, dict[str, Any]]:
        """Label ``image``, a case of the stack or the path of a volume, on ``device``.

        ``whole_slab`` labels all slices of a case instead of only its own, so it may lead to unreviewed labels being
        submitted.

        Returns:
            The label volume, which the caller removes, and the response for clients.

        Raises:
            AppError: the model has no weights yet, or the inference fails, is refused or cancelled.
        """
        store, image = self.store, request["image"]
        target = new_path(store.workspace, store.cases.suffix)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:  # a killed process leaves an incomplete file
            made = Path(folder) / target.name
            wanted = Inference(*self._common(request.get("device")), self.settings.memory, made)
            if isinstance(image, Path):
                wanted = replace(wanted, volume=image)
            else:
                slices = image.slices if request.get("whole_slab") else [image.z]
                wanted = replace(wanted, slices=slices, first=image.slices.start, grid=store.cases.grid(image))
            params = self.worker.do(infer, wanted, refusable=refusable)
            made.replace(target)
        return target, params

    def measure(self, slices: list[int]) -> list[SliceScore]:
        """Measure the uncertainty of the model on slices."""
        return self.worker.do(measure, *self._common(None), slices)

    def _common(self, device: str | list[str] | None) -> tuple[Path, Path, str | None, str]:
        settings = self.settings
        return self.model.trained_run(), self.store.path, settings.ingested, settings.device or read_device(device)


def read_device(given: str | list[str] | None) -> str:
    """Read the device that a client requests, one name or several; ConfigError if it does not exist."""
    wanted = given[0] if isinstance(given, list) and given else given
    return str(chosen_device(str(name_to_device(wanted or None))))
