"""What a training step of Sensor-3D costs, and which share of it is not convolution.

Times forward, backward and optimiser step of Sensor-3D in its small size, in turn in one run beside the small U-Net and
beside itself with other settings, and profiles the step: operator by operator, the time spent in itself.

    python tools/benchmarks/sensor3d.py --json sensor3d.json
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from common import command, machine, write_json
from monai.bundle import ConfigParser
from monai.losses import DiceCELoss

from monai_app.bundle.configs.templates import size_path, template_path
from monai_app.device.malloc import keep_freed_memory
from monai_app.networks.cell import DifferentiableUpdate, update
from monai_app.training import LabelledPixels
from monai_app.yamlfile import read_yaml

PHASES, DETECTORS, SLICES = 5, 2, 3  # as in the bundles
CONVOLUTIONS = ("convolution", "conv2d", "mkldnn")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8, help="slabs in a batch")
    parser.add_argument("--crop", type=int, default=128, help="side of a crop in pixels")
    parser.add_argument("--repeats", type=int, default=7, help="steps of each network, in turn")
    parser.add_argument("--json", type=Path, help="where the results go")
    arguments = parser.parse_args()

    keep_freed_memory()  # as the training does
    steps = {name: training_step(network, arguments.batch, arguments.crop) for name, network in networks().items()}
    steps["sensor3d, derivative by autograd"] = by_autograd(steps["sensor3d"])
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(arguments.repeats + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if repeat:  # the first is a warm-up
                seconds[name].append(time.perf_counter() - start)
    results: dict[str, Any] = {
        name: {"seconds": statistics.median(seconds[name]), **profile(step)} for name, step in steps.items()
    }
    for name, row in results.items():
        print(f"{name:<36} {row['seconds']:.3f} s a step, outside convolutions {row['outside_convolutions']:.1%}")
        for operator, share in row["operators"].items():
            print(f"    {operator:<44}{share:>7.1%}")
    if arguments.json:
        write_json(arguments.json, {"machine": machine(), "command": command(), "results": results})


def networks() -> dict[str, torch.nn.Module]:
    """The networks of the two bundles in their small sizes, and Sensor-3D with a setting changed."""
    return {
        "unet": build("unet"),
        "sensor3d": build("sensor3d"),
        "sensor3d, no normalisation": build("sensor3d", norm="none"),
        "sensor3d, 16 filters": build("sensor3d", filters=16),
    }


def build(name: str, **settings: Any) -> torch.nn.Module:
    """Build a bundle's network in its small size with some settings of its own."""
    torch.manual_seed(0)
    bundle = f"fibsem_{name}_segmentation"
    config = read_yaml(template_path(bundle) / "configs" / "train.yaml") | read_yaml(size_path(bundle, "small"))
    network: torch.nn.Module = ConfigParser(config | settings).get_parsed_content("network_def")
    return network


def by_autograd(step: Callable[[], None]) -> Callable[[], None]:
    """Make a step that leaves the derivative of the convolutional LSTM's step to autograd."""

    def plain_step() -> None:
        with mock.patch.object(DifferentiableUpdate, "apply", lambda *state: update(*state)[:2]):
            step()

    return plain_step


def training_step(network: torch.nn.Module, batch: int, crop: int) -> Callable[[], None]:
    """Return a function that makes one step of training on random pixels."""
    network = network.to(memory_format=torch.channels_last).train()
    image = torch.randn(batch, SLICES * DETECTORS, crop, crop)
    annotation = torch.randint(1, PHASES + 1, (batch, 1, crop, crop))
    loss = LabelledPixels([DiceCELoss(softmax=True, to_onehot_y=True)])
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        loss(network(image), annotation).backward()
        optimizer.step()

    return step


def profile(step: Callable[[], None], steps: int = 3) -> dict[str, Any]:
    """Return each operator's share of the time of some steps, and the share of all that is no convolution."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        start = time.perf_counter()
        for _ in range(steps):
            step()
        microseconds = 1e6 * (time.perf_counter() - start)
    own = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
    convolutions = sum(value for key, value in own.items() if any(part in key for part in CONVOLUTIONS))
    largest = sorted(own.items(), key=lambda item: -item[1])[:14]
    return {
        "outside_convolutions": 1 - convolutions / microseconds,
        "operators": {key: value / microseconds for key, value in largest},
    }


if __name__ == "__main__":
    main()
