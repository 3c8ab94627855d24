"""Checkpoints that survive a kill.

MONAI's ``CheckpointSaver`` writes in place, so a kill may leave an incomplete file; these two handlers write
atomically, and a resumed run continues exactly after the last complete epoch.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, WeakMethod

import torch
from ignite.distributed import all_gather, get_rank
from ignite.engine import Engine, Events

from monai_app.errors import ConfigError, DivergedError
from monai_app.files import lock, lock_path
from monai_app.networks.weights import load_weights, read_checkpoint, save_checkpoint, save_weights
from monai_app.training.fingerprints import is_earlier, translated
from monai_app.training.length.progress import LENGTH

_SCALER = "scaler"

_OF_THE_SCHEDULE = ("optimizer", "lr_scheduler", "early_stop", _SCALER)
"""What a continued training does not take over."""

_LATER = ("pace",)
"""What checkpoints of earlier versions do not have."""

_AT_FAILURE: "WeakKeyDictionary[Engine, list[WeakMethod[Callable[[], None]]]]" = WeakKeyDictionary()
"""Engine -> methods that are called if it fails."""


def at_failure(engine: Engine, method: Callable[[], None]) -> None:
    """Call a method of a handler if an engine fails, and raise the exception again after all of them.

    Ignite swallows an exception that has a handler, and a handler that raises it again keeps others from being called.
    The method may be called more than once, because Ignite announces an exception of a step in the step and in the run.
    """
    if engine not in _AT_FAILURE:
        engine.add_event_handler(Events.EXCEPTION_RAISED, _fail)
    _AT_FAILURE.setdefault(engine, []).append(WeakMethod(method))


def _fail(engine: Engine, error: BaseException) -> None:
    for each in _AT_FAILURE[engine]:
        if (method := each()) is not None:
            method()
    raise error


class LoadWeights:
    """Load weights into a network when an engine starts; every key must fit, see `load_weights`.

    MONAI's ``CheckpointLoader`` ignores keys that do not fit or, in strict mode, fails with a traceback. The file as it
    was read is kept in the engine's ``state.weights``.

    Raises:
        ConfigError: when the engine starts, if the file is missing or damaged or does not fit.
    """

    def __init__(self, path: str, network: torch.nn.Module) -> None:
        self.path, self.network = path, network

    def attach(self, engine: Engine) -> None:
        """Load when the engine starts."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Load the weights."""
        engine.state.weights = load_weights(self.network, self.path)  # type: ignore[attr-defined]


class BestModel:
    """Keep the weights with the best validation metric, as a flat state dict (MONAI's ``models/model.pt``).

    Their SHA-256 goes into the bundle's metadata.json. Attach to the evaluator. Its own state (the best metric) belongs
    into the resume checkpoint. Of several processes rank 0 writes.
    """

    def __init__(self, path: str, network: torch.nn.Module) -> None:
        self.path, self.network = Path(path), network
        self.metric = float("-inf")

    def attach(self, engine: Engine) -> None:
        """Save after each of the evaluator's runs that beat the best so far."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Save the weights if the evaluator's key metric is the best so far; NaN is never the best.

        Raises:
            DivergedError: some of these weights are not finite.
        """
        metric = float(engine.state.metrics[engine.state.key_metric_name])  # type: ignore[attr-defined]
        if metric > self.metric:
            state = self.network.state_dict()
            wrong = [name for name, values in state.items() if not values.isfinite().all()]
            if wrong:  # they still give labels, and a score
                raise DivergedError(
                    f"weights are no longer finite ({wrong[0]} and {len(wrong) - 1} other tensors): the training "
                    f"diverged. Train again with a lower learning_rate; {self.path} is unchanged"
                )
            self.metric = metric
            if get_rank() > 0:
                return
            save_weights(state, self.path)

    def state_dict(self) -> dict[str, float]:
        """Return the best metric so far."""
        return {"metric": self.metric}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Restore the best metric of an interrupted run."""
        self.metric = float(state["metric"])


class ResumeCheckpoint:
    """Save everything needed to resume a training after every epoch, and load it when a run restarts.

    Attach to the trainer after its ``ValidationHandler``, so that a saved epoch is a validated one. While the trainer
    runs, a lock file prevents others from training the same run. With several processes, all load, and rank 0 locks and
    writes.

    A finished training stays unchanged, unless the setting ``continues`` is the number of its epochs: then its weights,
    their running average and the best metric are loaded, and the schedule restarts. The other settings must be the
    same, except for `LENGTH`.

    Args:
        path: file of the checkpoint.
        objects: name to object with ``state_dict`` and ``load_state_dict``; the trainer's epoch and iteration are
            added, and in mixed precision the loss scaling.
        settings: everything that decides the weights, see `fingerprint`; a checkpoint with others is refused.

    Raises:
        BusyError: when the trainer starts, if another process is training this run.
        ConfigError: when the trainer starts, if the checkpoint was made with other settings, or if not all processes
            see it.
    """

    def __init__(self, path: str, objects: Mapping[str, Any], settings: Mapping[str, Any] | None = None) -> None:
        self.path, self.objects, self.settings = Path(path), dict(objects), dict(settings or {})
        self._held = ExitStack()
        self._finished = False

    def attach(self, engine: Engine) -> None:
        """Lock and load when the trainer starts, save after each of its epochs, unlock when it ends."""
        engine.add_event_handler(Events.STARTED, self._lock)
        engine.add_event_handler(Events.STARTED, self._load)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._save)
        engine.add_event_handler(Events.COMPLETED, self._finish)
        at_failure(engine, self._unlock)

    def _lock(self, engine: Engine) -> None:
        if get_rank() > 0:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        busy = f"{self.path.parent} is being trained by another process; wait for it or choose another run folder"
        self._held.enter_context(lock(lock_path(self.path), busy))

    def _finish(self, engine: Engine) -> None:
        if not self._finished:
            self._save(engine, finished=True)
        self._unlock()

    def _unlock(self) -> None:
        self._held.close()

    def _load(self, engine: Engine) -> None:
        state = self._read() if self.path.is_file() else None
        self._check_alike(-1 if state is None else state["epoch"])
        if state is None:
            return
        continued = self._continues(state)
        self._check_settings(state["settings"], LENGTH if continued else ())
        for name, item in self._kept(engine).items():
            if name in state and not (continued and name in _OF_THE_SCHEDULE):
                item.load_state_dict(state[name])
        engine.state.iteration = state["iteration"]
        engine.state.epoch = state["epoch"]
        log = logging.getLogger(__name__)
        if state["finished"] and not continued:  # by its last epoch or early stopping, which would otherwise train on
            log.info("this training is finished, after epoch %d", state["epoch"])
            self._finished = True
            engine.terminate()
        else:
            schedule = "; a new schedule starts" if continued else ""
            log.info("resumed after epoch %d from %s%s", state["epoch"], self.path, schedule)

    def _read(self) -> dict[str, Any]:
        state = read_checkpoint(self.path)
        missing = sorted({*self.objects, "settings", "epoch", "iteration", "finished"} - {*state, *_LATER})
        if missing:
            raise ConfigError(f"{self.path} is not a checkpoint of a training (no {', '.join(missing)}); remove it")
        return state

    def _continues(self, state: Mapping[str, Any]) -> bool:
        """Whether this training begins where a finished one ended."""
        first = self.settings.get("continues")
        begun = state["settings"].get("continues") == first
        return first is not None and not begun and state["finished"] and state["epoch"] == first

    def _check_alike(self, epoch: int) -> None:
        """Check that all processes begin alike: they would train on from different weights without a word."""
        epochs = torch.as_tensor(all_gather(torch.tensor([epoch]))).tolist()
        if len(set(epochs)) > 1:
            raise ConfigError(
                f"the processes find checkpoints of different epochs in {self.path.parent} ({epochs}; -1 is none): "
                "all machines must use the same run folder; put it on a shared file system"
            )

    def _check_settings(self, found: Mapping[str, Any], may_differ: Collection[str]) -> None:
        if is_earlier(found):
            found = translated(found)
            current = {name: self.settings.get(name) for name in found}
        else:
            current = self.settings
        differences = [
            f"{name} is {found.get(name)!r} there and {current.get(name)!r} now"
            for name in sorted({*found, *current})
            if found.get(name) != current.get(name) and name not in may_differ
        ]
        if differences:
            raise ConfigError(
                f"{self.path} was written with other settings: {'; '.join(differences)}. Train in another folder"
            )

    def _kept(self, engine: Engine) -> dict[str, Any]:
        """The objects, and the loss scaling that MONAI's trainer makes when it starts; it is off on a CPU."""
        scaler = getattr(engine, "scaler", None)
        return self.objects if scaler is None or not scaler.is_enabled() else {**self.objects, _SCALER: scaler}

    def _save(self, engine: Engine, finished: bool = False) -> None:
        if get_rank() > 0:
            return
        state = {name: item.state_dict() for name, item in self._kept(engine).items()}
        state |= {"epoch": engine.state.epoch, "iteration": engine.state.iteration}
        state |= {"settings": self.settings, "finished": finished}
        save_checkpoint(state, self.path)
