"""MONAI Label's tasks: what clients can ask of a model, and how slices are chosen and scored."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypedDict

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.utils.others.generic import device_list, name_to_device

from monai_app.bundle.prepare import CHECKPOINT
from monai_app.device.choose import chosen_device
from monai_app.errors import ConfigError
from monai_app.label.datastore.store import StackDatastore
from monai_app.label.models import ServedModel
from monai_app.label.training import train
from monai_app.training import epochs_done

AfterTraining = Callable[[ServedModel], None]


class SegmentationTask(InferTask):
    """What clients are told of a model; the app itself runs it."""

    def __init__(self, model: ServedModel, datastore: StackDatastore) -> None:
        self.model = model
        phases = datastore.stack.phases
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

    def get_path(self, validate: bool = True) -> str | None:
        """Return the file of the weights that count."""
        weights = self.model.weights
        return None if weights is None else str(weights)

    def __call__(self, request: Any) -> Any:
        """Refuse: the app runs inferences in a process of their own."""
        raise NotImplementedError("StackApp.infer runs inferences")


class TrainingTask(TrainTask):
    """Trains a model on the labels that were submitted."""

    def __init__(self, model: ServedModel, after: AfterTraining) -> None:
        super().__init__(f"train {model.name} on the labelled slices; unlabelled pixels are left out")
        self.model, self.after = model, after

    def config(self) -> dict[str, Any]:
        """Return the options that clients show, with what is taken where they are left alone (0: the model's own)."""
        return {"max_epochs": 0, "pretrained": True, "resume": True}

    def stats(self) -> dict[str, Any]:
        """Return which run counts, and of an unfinished one MONAI's ``epoch`` and ``total_epochs``."""
        told, unfinished = {"run": self.model.run_name}, self.model.unfinished
        return told if unfinished is None else {**told, "unfinished": unfinished.name, **_epochs(unfinished)}

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train; called in a process of its own."""
        assert isinstance(datastore, StackDatastore)
        trained = train(self.model, datastore.stack, **read_options(request))
        self.after(self.model)
        return trained


def _epochs(unfinished: Path) -> dict[str, int]:
    """How far a run came, in the words of MONAI's trainers; nothing where no epoch was complete."""
    try:
        done = epochs_done(unfinished / CHECKPOINT)
    except ConfigError:  # the next training says what is wrong, and begins anew
        done = None
    return {} if done is None else {"epoch": done[0], "total_epochs": done[1]}


class TrainingOptions(TypedDict):
    """What clients choose of a training; see `train`."""

    settings: dict[str, Any]
    pretrained: bool
    resume: bool


def read_options(request: Mapping[str, Any]) -> TrainingOptions:
    """Read the options of a training request; others, which clients send along, are left alone.

    Raises:
        ConfigError: an option of another kind.
    """
    epochs = request.get("max_epochs", 0)
    if isinstance(epochs, bool) or not isinstance(epochs, int) or not 0 <= epochs <= 100_000:
        raise ConfigError(f"max_epochs {epochs!r}: give a whole number of epochs, or 0 for the model's own")
    return {
        "settings": {"max_epochs": epochs} if epochs else {},
        "pretrained": read_flag(request, "pretrained", default=True),
        "resume": read_flag(request, "resume", default=True),
    }


def read_device(request: Mapping[str, Any]) -> str:
    """Read where a client wants a model to be applied; clients send a name of ``device_list`` or several.

    Raises:
        ConfigError: this machine has no such device.
    """
    given = request.get("device")
    wanted = given[0] if isinstance(given, list) and given else given
    if wanted and not isinstance(wanted, str):
        raise ConfigError(f"device {str(given)[:120]!r}: give a name, such as cpu")
    return str(chosen_device(str(name_to_device(wanted or None))))


def read_flag(request: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    """Read an option that is on or off.

    Raises:
        ConfigError: it is something else.
    """
    value = request.get(name, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{name} {str(value)[:120]!r}: give true or false")
    return value
