"""What the benchmarks share: running the command line as a user does, and saying what was measured on which machine."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from monai_app.device.machine import machine as machine  # for all benchmarks
from monai_app.files import atomic_file

TINY_UNET = [
    "features=[8,16,32,64,64,8]",
    "crop=[96,96]",
    "window=[256,256]",
    "validation_block=64",
    "batch_size=4",
    "steps_per_epoch=20",
    "learning_rate=0.003",
    "val_interval=2",
    "picture_interval=1000",
]
"""Settings of a small U-Net for slices of 256 x 256, which a CPU trains in a minute."""


def app(*arguments: object) -> None:
    """Run ``monai-app`` in a process of its own; its output is not shown."""
    subprocess.run([sys.executable, "-m", "monai_app", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def settings_options(settings: list[str]) -> list[str]:
    """Return the words that give the settings NAME=VALUE to ``monai-app train``."""
    return [word for setting in settings for word in ("--set", setting)]


def read_scores(run: Path) -> dict[str, Any]:
    """Return what ``monai-app evaluate`` wrote."""
    scores: dict[str, Any] = json.loads((run / "eval" / "test" / "scores.json").read_text())
    return scores


def learning_curve(run: Path) -> list[float]:
    """Return the mean IoU of every validation of a training."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "eval"))
    events.Reload()
    return [round(event.value, 4) for event in events.Scalars("val_mean_iou")]


def command() -> list[str]:
    """Return this command line with paths shortened to their last part: results are published."""
    return [
        f"tools/benchmarks/{Path(sys.argv[0]).name}",
        *(Path(word).name if "/" in word else word for word in sys.argv[1:]),
    ]


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write results as a whole file."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf8")
