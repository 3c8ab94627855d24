"""Measure the cost of a training on this machine by timing some of its steps and one validation."""

import gc
import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.bundle import ConfigParser

from monai_app.bundle.configs.settings import literally
from monai_app.device.copies import finish
from monai_app.device.memory import peak_bytes
from monai_app.errors import user_error
from monai_app.storage import refused
from monai_app.temporary import temporary_folder

_log = logging.getLogger(__name__)

STEPS = 12
"""Maximum number of steps."""

_WARMING_UP = 2
"""Warm-up steps without timing, in which buffers are allocated and kernels chosen."""

_ENOUGH = 3.0
"""Seconds after which no further steps are timed."""


@dataclass(frozen=True)
class Measurement:
    """The cost of a training.

    Attributes:
        device: name of the device.
        start: seconds until the first step, which include reading the slices.
        step: seconds per step, including crops and augmentation.
        validation: seconds per validation, including saving the weights.
        memory: most bytes of all processes; on CUDA, bytes of one device.
        disk: bytes of weights and checkpoint.
    """

    device: str
    start: float
    step: float
    validation: float
    memory: int
    disk: int


def measure(run: Path, overrides: Mapping[str, Any]) -> Measurement:
    """Start the training of a run folder in a temporary folder, and time it.

    The trainer with its loader, network and handlers comes from the run's ``train.yaml``, which is evaluated and must
    be trusted. Processes that share a CPU are measured as one with all cores and the complete batch.

    Args:
        run: the run folder.
        overrides: config ids and values, such as the stack and the device.

    Raises:
        AppError: the training fails for a reason that the user can correct.
    """
    begun = time.perf_counter()
    _log.info("measuring the speed of the training on this machine")
    with temporary_folder("measured") as folder:
        models = folder / "models"
        models.mkdir()
        for weights in (run / "models").glob("initial.pt"):
            shutil.copy(weights, models)
        parser = ConfigParser()
        parser.read_config(str(run / "configs" / "train.yaml"))
        places = {"bundle_root": str(run), "models_dir": str(models), "output_dir": str(folder / "eval")}
        length = {"max_epochs": 1, "steps_per_epoch": STEPS, "val_interval": 1, "minutes": None, "pace": None}
        parser.update(literally({**overrides, **places, **length}))
        parser.update({"validate::handlers": ["@best_model"]})  # the first picture takes longer than the others
        try:
            parser.get_parsed_content("imports")
            together = int(parser["processes"])
            on_cpu = torch.device(parser.get_parsed_content("device")).type == "cpu"
            if on_cpu:
                parser.update({"processes": 1})
            with _training_not_logged():
                found = _timed(parser, begun)
        except Exception as error:
            cause = user_error(error) or refused(error)
            if cause is None:
                raise
            raise cause from error
        disk = sum(path.stat().st_size for path in models.iterdir())
    gc.collect()  # trainer and handlers form reference cycles
    if on_cpu:
        found["memory"] *= together
    else:
        torch.cuda.empty_cache()  # the training is a separate process
    return Measurement(**found, disk=disk)


@contextmanager
def _training_not_logged() -> Iterator[None]:
    """Keep the lines of the measured training out of the log: they would look like those of the training itself."""
    log = logging.getLogger("monai_app.training")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)


def _timed(parser: ConfigParser, begun: float) -> dict[str, Any]:
    parser.get_parsed_content("imports")
    parser.get_parsed_content("initialize")
    trainer = parser.get_parsed_content("train::trainer")
    device = trainer.state.device
    started = time.perf_counter()
    ends: list[float] = []

    def step_ended(engine: Engine) -> None:
        finish(device)
        ends.append(time.perf_counter())
        if len(ends) > _WARMING_UP and ends[-1] - ends[_WARMING_UP - 1] > _ENOUGH:
            engine.terminate_epoch()

    trainer.add_event_handler(Events.ITERATION_COMPLETED, step_ended)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    trainer.run()
    parser.get_parsed_content("summary_writer").close()
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_bytes()
    return {
        "device": str(device),
        "start": started - begun,
        "step": (ends[-1] - ends[_WARMING_UP - 1]) / (len(ends) - _WARMING_UP),
        "validation": time.perf_counter() - ends[-1],
        "memory": memory,
    }
