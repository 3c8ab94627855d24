"""How far a training has come, as its checkpoint says."""

from pathlib import Path
from typing import NamedTuple

from monai_app.errors import ConfigError
from monai_app.networks.weights import read_checkpoint

LENGTH = ("continues", "max_epochs", "minutes", "pace", "patience")
"""Settings in which a training may differ from the finished one that it continues."""


class TrainingProgress(NamedTuple):
    """How far a training is.

    Attributes:
        epochs: behind it.
        planned: epochs that it is to have in all.
        seconds: that it took; 0 where an earlier version trained.
        finished: whether it has come to its end, by epochs or by early stopping.
    """

    epochs: int
    planned: int
    seconds: float
    finished: bool


def training_progress(path: Path) -> TrainingProgress | None:
    """Return how far the training of a `ResumeCheckpoint`'s file is; None without the file. Tensors are not read.

    Raises:
        ConfigError: it is damaged or no checkpoint of a training.
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
            f"{path} is no checkpoint of a training ({type(error).__name__}: {error}); remove it"
        ) from None


def is_finished(path: Path) -> bool:
    """Whether the training of the `ResumeCheckpoint`'s file has come to its end, by epochs or by early stopping.

    Raises:
        ConfigError: the file is damaged.
    """
    found = training_progress(path)
    return found is not None and found.finished
