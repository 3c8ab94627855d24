"""What all parts work on: stacks, networks that were trained on the device, and labels to compare."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import inference
import numpy as np
import numpy.typing as npt
import torch
from common import settings_options
from torch import Tensor, nn

from monai_app.bundle.configs.templates import tiny_settings
from monai_app.bundle.model import load_model
from monai_app.device.precision import full_precision
from monai_app.inference import Model, Predictor, Request
from monai_app.stack import Stack

Labels = npt.NDArray[np.uint8]

SLICE = 2
"""The slice that labels are compared of."""

TIE = 1e-4
"""Two phases whose logits are this near, in standard deviations of all logits, are a tie: float32 rounds either way."""

TINY_TRAINING = {"crop": [32, 32], "batch_size": 2, "window": [64, 64], "validation_block": 32}


@dataclass(frozen=True)
class Place:
    """Where the parts work.

    Attributes:
        work: folder for stacks and runs.
        device: what is proved and measured.
        tiny: sizes that prove the script itself, and measure nothing.
    """

    work: Path
    device: torch.device
    tiny: bool

    @property
    def stack(self) -> Path:
        """The stack that labels are compared on; made where it is not there."""
        side = 96 if self.tiny else 1024
        return inference.made_stack(self.work, 6, side, side)

    @property
    def large_stack(self) -> Path:
        """The stack that times are measured on; made where it is not there."""
        return self.stack if self.tiny else inference.made_stack(self.work, 8, 2048, 2048)

    def run(self, network: str) -> Path:
        """The run folder of a network."""
        return self.work / network

    def options(self, network: str) -> list[str]:
        """The words that give a network and its training to ``monai-app train``."""
        words = inference.NETWORKS[network]
        variant = words[:2] if self.tiny else words
        return [*variant, *settings_options(self.settings(network)), "--device", str(self.device)]

    def settings(self, network: str) -> list[str]:
        """Settings NAME=VALUE of a training."""
        if not self.tiny:
            return ["steps_per_epoch=50"]
        tiny = {**TINY_TRAINING, **tiny_settings(f"fibsem_{network}_segmentation"), "steps_per_epoch": 2}
        return [f"{name}={value}" for name, value in tiny.items()]

    def slab(self, model: Model) -> Tensor:
        """The scaled slab of `SLICE` as (1, S*C, rows, columns), on the CPU."""
        spec = model.spec
        grey = torch.from_numpy(Stack.open(self.stack).read_slab(SLICE, spec.detectors, spec.slices).astype(np.float32))
        mean, std = (torch.tensor(values)[:, None, None] for values in (spec.channel_mean, spec.channel_std))
        return ((grey - mean) / std)[None]


class Compared:
    """Labels of `SLICE` against those that they should be, and the logits in float64 to tell ties from errors.

    Args:
        place: where the parts work.
        network: the network's name.

    Attributes:
        model: on the CPU.
        slab: what it is given, scaled.
    """

    def __init__(self, place: Place, network: str) -> None:
        self.place, self.model = place, load_model(place.run(network))
        self.slab = place.slab(self.model)
        logits = applied(self.model.network.to(place.device).double(), self.slab.double())
        self.model.network.float().cpu()
        best, second = logits.topk(2, 1).values[0]
        self._margin = ((best - second) / logits.std()).numpy()

    def row(self, name: str, labels: Labels, expected: Labels) -> dict[str, Any]:
        """What differs, and how near the two best phases of the pixels that differ are in float64."""
        differing = labels != expected
        margin = float(self._margin[differing].max(initial=0.0))
        return {"name": name, "pixels": labels.size, "differing": int(differing.sum()), "margin": margin}


def applied(network: nn.Module, images: Tensor) -> Tensor:
    """Logits of a whole slice at once, on the CPU; nothing is rounded to TF32."""
    device = next(network.parameters()).device
    with torch.no_grad(), full_precision():
        logits: Tensor = network.eval()(images.to(device))
        return logits.cpu()


def labels_of(predictor: Predictor, place: Place, tile: int | None = None) -> Labels:
    """Labels of `SLICE` by the engine."""
    ((_, planes),) = predictor.predict(Stack.open(place.stack), [SLICE], request=Request.parse(tile))
    return planes["labels"]


def ties_only(rows: list[dict[str, Any]]) -> bool:
    """Whether no pixel differs but for ties."""
    return all(row["margin"] < TIE for row in rows)
