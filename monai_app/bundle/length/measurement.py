"""What a training costs on this machine: some of its own steps and one of its own validations, timed."""

import gc
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.bundle import ConfigParser

from monai_app.bundle.configs.settings import literally
from monai_app.device.copies import finish
from monai_app.device.memory import held_bytes
from monai_app.errors import user_error
from monai_app.storage import refused
from monai_app.temporary import temporary_folder

STEPS = 12
"""Steps that are made at most."""

_WARMING_UP = 2
"""Steps that are not timed: buffers are made and kernels chosen in them."""

_ENOUGH = 3.0
"""Seconds of timed steps after which no more are made."""


@dataclass(frozen=True)
class Measurement:
    """What a training costs.

    Attributes:
        device: what it computes on.
        start: seconds until the first step; the slices are read in them.
        step: seconds of a step, its crops and their augmentation included.
        validation: seconds of a validation and of saving the weights.
        memory: bytes that all processes hold, on CUDA bytes of one device.
        disk: bytes that weights and checkpoint take.
    """

    device: str
    start: float
    step: float
    validation: float
    memory: int
    disk: int


def measure(run: Path, overrides: Mapping[str, Any]) -> Measurement:
    """Begin the training of a run folder elsewhere, and time it.

    The trainer, its loader, network and handlers are those of the run's ``train.yaml``, which is evaluated and has to
    be trusted. What they write goes into a temporary folder. Processes that share a CPU are measured as one, which has
    all the cores and the whole batch.

    Args:
        run: the run folder.
        overrides: config ids and values, such as the stack and the device.

    Raises:
        AppError: the training fails because of something the user can correct.
    """
    begun = time.perf_counter()
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
        parser.update({"validate::handlers": ["@best_model"]})  # the first picture takes longer than all others
        try:
            parser.get_parsed_content("imports")
            together = int(parser["processes"])
            on_cpu = torch.device(parser.get_parsed_content("device")).type == "cpu"
            if on_cpu:
                parser.update({"processes": 1})
            found = _timed(parser, begun)
        except Exception as error:
            cause = user_error(error) or refused(error)
            if cause is None:
                raise
            raise cause from error
        disk = sum(path.stat().st_size for path in models.iterdir())
    gc.collect()  # trainer and handlers refer to each other
    if on_cpu:
        found["memory"] *= together
    else:
        torch.cuda.empty_cache()  # the training is another process
    return Measurement(**found, disk=disk)


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
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else held_bytes()
    return {
        "device": str(device),
        "start": started - begun,
        "step": (ends[-1] - ends[_WARMING_UP - 1]) / (len(ends) - _WARMING_UP),
        "validation": time.perf_counter() - ends[-1],
        "memory": memory,
    }
