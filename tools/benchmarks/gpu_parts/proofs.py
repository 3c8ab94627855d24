"""What must hold on the device."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch
import training_steps
from common import app
from ignite.engine import Engine, Events
from inference import NETWORKS
from torch import Tensor
from torch.backends import cudnn

from gpu_parts.place import Compared, Place, applied, labels_of, ties_only
from monai_app.bundle.model import load_model
from monai_app.device.copies import finish
from monai_app.errors import ConfigError
from monai_app.export import export_run, open_exported
from monai_app.export.formats import SUFFIXES
from monai_app.inference import Predictor, Request
from monai_app.stack import Stack
from monai_app.transforms import phase_labels

CHECKOUT = Path(__file__).resolve().parents[3]

SCARCE = 200 * 2**20
"""Bytes of a card with which tiles of 64 pixels are computed, but not one of 1024: its maps take 249 MiB."""

ARITHMETIC = {"float32": torch.float32, "TF32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
"""What networks are computed in, and the type of their weights."""

STOPPED = "stopped"
"""Name of the training that is stopped and resumed."""


def prepare(place: Place) -> dict[str, Any]:
    """Make the stacks, and train both networks on the device, so that margins between phases are a network's."""
    _ = place.stack, place.large_stack
    for network in NETWORKS:
        app("train", place.stack, place.run(network), *place.options(network), "--epochs", 1 if place.tiny else 2)
    device: dict[str, Any] = {"device": str(place.device), "cuda": torch.version.cuda}
    if place.device.type == "cuda":
        found = torch.cuda.get_device_properties(place.device)
        device |= {"name": found.name, "memory_gib": round(found.total_memory / 2**30, 1)}
        device |= {"capability": f"{found.major}.{found.minor}", "cudnn": cudnn.version()}  # type: ignore[no-untyped-call]
    return {"proved": True, **device}


def same_labels(place: Place) -> dict[str, Any]:
    """The device's labels are those of the CPU, of the whole slice at once, of small tiles, and of a second run."""
    rows: list[dict[str, Any]] = []
    for network in NETWORKS:
        compared = Compared(place, network)
        predictor = Predictor(load_model(place.run(network)), place.device)
        labels = labels_of(predictor, place)
        others = {
            "the CPU": labels_of(Predictor(load_model(place.run(network))), place),
            "the whole slice": phase_labels(applied(predictor.model.network, compared.slab)[0])[0].numpy(),
            "small tiles": labels_of(predictor, place, 64 if place.tiny else 256),
            "a second run": labels_of(Predictor(load_model(place.run(network)), place.device), place),
        }
        rows += [compared.row(f"{network}, against {name}", labels, other) for name, other in others.items()]
    repeated = all(row["differing"] == 0 for row in rows if row["name"].endswith("second run"))
    return {"proved": ties_only(rows) and repeated, "rows": rows}


def arithmetic(place: Place) -> dict[str, Any]:
    """Logits and labels of the whole slice in each arithmetic, against float32 on the CPU; float32 must be equal."""
    rows: list[dict[str, Any]] = []
    for network in NETWORKS:
        compared = Compared(place, network)
        expected = applied(load_model(place.run(network)).network, compared.slab)
        for name, dtype in ARITHMETIC.items():
            moved = load_model(place.run(network)).network.to(place.device, dtype)
            with torch.no_grad(), _rounding(tf32=name == "TF32"):
                logits = moved(compared.slab.to(place.device, dtype)).float().cpu()
            labels, right = (phase_labels(each[0])[0].numpy() for each in (logits, expected))
            difference = float((logits - expected).abs().max() / expected.std())
            rows.append({**compared.row(f"{network}, {name}", labels, right), "of logits": difference})
    return {"proved": ties_only([row for row in rows if row["name"].endswith(" float32")]), "rows": rows}


def _rounding(*, tf32: bool) -> AbstractContextManager[None]:
    return cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=tf32)


def full_memory(place: Place) -> dict[str, Any]:
    """Where memory is short, a message says what to do, and small tiles do; afterwards everything works."""
    predictor = Predictor(load_model(place.run("unet")), place.device)
    stack, expected = Stack.open(place.stack), labels_of(predictor, place)
    told = [_told(predictor, stack, Request.parse(memory=1))]
    with _scarce(place.device):
        if place.device.type == "cuda":
            told.append(_told(predictor, stack, Request.parse(expected.shape[0])))
        small = labels_of(predictor, place, 64)
    compared, afterwards = Compared(place, "unet"), labels_of(predictor, place)
    rows = [compared.row("small tiles", small, expected), compared.row("afterwards", afterwards, expected)]
    return {"proved": ties_only(rows) and all("--" in each for each in told), "messages": told, "rows": rows}


@contextmanager
def _scarce(device: torch.device) -> Iterator[None]:
    """Let a card have `SCARCE` bytes more than what is held; a CPU is left as it is."""
    if device.type != "cuda":
        yield
        return
    finish(device)
    torch.cuda.empty_cache()
    most = torch.cuda.memory_reserved(device) + SCARCE
    torch.cuda.set_per_process_memory_fraction(most / torch.cuda.get_device_properties(device).total_memory, device)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0, device)


def _told(predictor: Predictor, stack: Stack, request: Request) -> str:
    """The message of a prediction that does not fit into the memory; empty where it fits."""
    try:
        for _ in predictor.predict(stack, [0], request=request):
            pass
    except ConfigError as error:
        return str(error)
    return ""


def resumed(place: Place) -> dict[str, Any]:
    """A training that is stopped after an epoch and resumed ends with the weights of one that is not.

    Kernels that add in another order every time let two equal trainings differ; then a resumed one may, too.
    """
    rows: list[dict[str, Any]] = []
    for network in NETWORKS:
        one, same, stopped = (_trained(place, network, name) for name in ("one", "same", STOPPED))
        rows.append({"name": network, "a second": _difference(one, same), "resumed": _difference(one, stopped)})
    return {"proved": all(row["resumed"] <= 10 * row["a second"] for row in rows), "rows": rows}


def _difference(weights: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> float:
    """The greatest difference of two weights."""
    return max(float((value.double() - others[name].double()).abs().max()) for name, value in weights.items())


def _trained(place: Place, network: str, name: str) -> dict[str, Tensor]:
    """The weights after two epochs; the training of the name `STOPPED` ends in the second one, and begins again."""
    folder = place.work / f"resumed_{network}_{name}"
    changes = [*place.settings(network), f"device={place.device}"]
    for stopping in (True, False) if name == STOPPED else (False,):
        trainer = training_steps.ours(
            training_steps.settings(folder, place.stack, network, 1, 2 if place.tiny else 10, changes)
        )
        if stopping:
            trainer.add_event_handler(Events.ITERATION_STARTED, _stop)
        try:
            trainer.run()
        except KeyboardInterrupt:
            continue
    return {key: value.detach().cpu().clone() for key, value in trainer.network.state_dict().items()}


def _stop(engine: Engine) -> None:
    if engine.state.epoch == 2:
        raise KeyboardInterrupt


def exported(place: Place) -> dict[str, Any]:
    """Exported files give the labels of the run folder."""
    rows: list[dict[str, Any]] = []
    for network in NETWORKS:
        compared = Compared(place, network)
        expected = labels_of(Predictor(load_model(place.run(network)), place.device), place)
        for kind in SUFFIXES:
            if kind == "onnx" or (place.tiny and kind != "torchscript"):  # ONNX runs on the CPU alone
                continue
            file = export_run(place.run(network), kind, overwrite=True).file
            labels = labels_of(Predictor(open_exported(str(file)), place.device), place)
            rows.append(compared.row(f"{network}, {kind}", labels, expected))
    return {"proved": ties_only(rows), "rows": rows}


def two_ranks(place: Place) -> dict[str, Any]:
    """Two processes, a card each, train a network that gives the labels of one process's, but for one in a hundred.

    Weights differ by more than rounding after some steps: Adam makes a step of the sign of the smallest gradient.
    """
    cards = torch.cuda.device_count() if place.device.type == "cuda" else 0
    if cards < 2:
        return {"left_out": f"two cards are needed; here are {cards}"}
    rows: list[dict[str, Any]] = []
    for network in NETWORKS:
        runs = [place.work / f"ranks_{network}_{processes}" for processes in (1, 2)]
        options = [word for word in place.options(network) if word not in ("--device", str(place.device))]
        for processes, run in enumerate(runs, 1):
            app("train", place.stack, run, *options, "--epochs", 1, "--no-amp", "--processes", processes)
        one, two = (labels_of(Predictor(load_model(run), place.device), place) for run in runs)
        rows.append({"name": network, "differing": float((one != two).mean())})
    return {"proved": all(row["differing"] < 0.01 for row in rows), "rows": rows}


def tests(place: Place) -> dict[str, Any]:
    """The tests that need CUDA."""
    if place.device.type != "cuda":
        return {"left_out": "they need CUDA"}
    words = [sys.executable, "-m", "pytest", "-q", "-k", "cuda", "tests/inference", "tests/device"]
    done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    return {"proved": done.returncode == 0, "pytest": (done.stdout or done.stderr).strip().splitlines()[-1]}
