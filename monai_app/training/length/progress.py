"""The progress of a training, from its checkpoint."""

from pathlib import Path
from typing import NamedTuple

from monai_app.errors import ConfigError
from monai_app.networks.weights import read_checkpoint

LENGTH = ("continues", "max_epochs", "minutes", "pace", "patience")
"""Settings in which a training may differ from the finished one that it continues."""


class TrainingProgress(NamedTuple):
    """The progress of a training.

    Attributes:
        epochs: completed epochs.
        planned: planned number of epochs.
        seconds: elapsed time; 0 for trainings of earlier versions.
        finished: whether it is finished, by epochs or early stopping.
    """

    epochs: int
    planned: int
    seconds: float
    finished: bool


def training_progress(path: Path) -> TrainingProgress | None:
    """Return the progress of the training of a `ResumeCheckpoint`'s file; None without the file. Tensors are not read.

    Raises:
        ConfigError: it is damaged or not a checkpoint of a training.
    """
    if not path.is_file():
        return None
    state = read_checkpoint(path, mapped=True)
    try:
        pace = state.get("pace", {"seconds": 0.0, "changes": []})
        planned = pace["changes"][-1][1] if pace["changes"] else state["settings"]["max_epochs"]
        return TrainingProgress(int(state["epoch"]), int(planned), float(pace["seconds"]), bool(state.get("finished")))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{path} is not a checkpoint of a training ({type(error).__name__}: {error}); remove it"
        ) from None


def is_finished(path: Path) -> bool:
    """Whether the training of the `ResumeCheckpoint`'s file is finished, by epochs or early stopping.

    Raises:
        ConfigError: the file is damaged.
    """
    found = training_progress(path)
    return found is not None and found.finished
