"""What a training step costs, part by part, beside a plain MONAI loop with the same network, crops and augmentation.

``ours`` is the bundle's training as `monai-app train` runs it. ``plain`` is what MONAI's tutorials write: CacheDataset,
DataLoader, SupervisedTrainer and AdamW, the network in torch's usual memory layout, MONAI's own transforms, and no
running average of the weights. Each trains in a process of its own; the processes take turns, round by round, so that
both see the same machine. On a busy machine ``--processor-time`` counts what they compute instead of what they wait
for, work beside the step included.

    python tools/benchmarks/training_steps.py --work /tmp/steps --json training_steps.json
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, cast

import yaml
from common import app, command, machine, write_json

from monai_app.device.copies import finish

NETWORKS = ("unet", "sensor3d")
METHODS = ("ours", "plain")
PARTS = {
    "loading": "GET_BATCH_COMPLETED",
    "forward": "LOSS_COMPLETED",
    "backward": "BACKWARD_COMPLETED",
    "optimiser": "MODEL_COMPLETED",
    "rest": "GET_BATCH_STARTED",
}
"""Parts of a step, in their order, and the event that ends each: loading includes augmentation, forward the loss."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the stack")
    parser.add_argument("--stack", type=Path, help="a store of the simulator, instead of one made")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS, help="in their size small")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, in each of which every method trains")
    parser.add_argument("--steps", type=int, default=12, help="steps of a round")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings other than the bundle's")
    parser.add_argument("--processor-time", action="store_true", help="instead of the clock's")
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--one", nargs=2, metavar=("NETWORK", "METHOD"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()

    if arguments.one:
        train(arguments, *arguments.one)
        return
    arguments.work.mkdir(parents=True, exist_ok=True)
    stack = arguments.stack or made_stack(arguments.work)
    results = {network: compare(arguments, stack, network) for network in arguments.networks}
    if arguments.json:
        write_json(arguments.json, {"machine": machine(), "command": command(), "results": results})


def made_stack(work: Path) -> Path:
    """Simulate and ingest the default sample, unless it is there."""
    stack = work / "cement.ome.zarr"
    if not stack.exists():
        app("simulate", work / "sample", "--overwrite")
        app("ingest", work / "sample" / "sample.yaml", stack)
    return stack


def compare(arguments: argparse.Namespace, stack: Path, network: str) -> dict[str, Any]:
    """Let the methods train in turn, and print and return what their steps cost."""
    trainings = {method: start(arguments, stack, network, method) for method in METHODS}
    steps: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}
    for number in range(arguments.rounds + 1):
        for method, training in trainings.items():
            cast(IO[str], training.stdin).write("go on\n")
            cast(IO[str], training.stdin).flush()
            line = next(line for line in cast(IO[str], training.stdout) if line.startswith("STEPS "))
            if number:  # the first round warms up
                steps[method] += json.loads(line.removeprefix("STEPS "))
    for training in trainings.values():
        training.communicate()
    result: dict[str, Any] = {method: summary(steps[method]) for method in METHODS}
    result["ratio"] = round(result["ours"]["step"] / result["plain"]["step"], 3)
    print(f"{network:<10}" + "".join(f"{part:>11}" for part in ("step", *PARTS)))
    for method in METHODS:
        print(f"{method:<10}" + "".join(f"{1e3 * result[method][part]:>8.1f} ms" for part in ("step", *PARTS)))
    print(f"{'ratio':<10}{result['ratio']:>11.3f}", flush=True)
    return result


def start(arguments: argparse.Namespace, stack: Path, network: str, method: str) -> "subprocess.Popen[str]":
    """Start a training that waits for its turn before every round."""
    words = [sys.executable, __file__, "--work", arguments.work, "--stack", stack, "--one", network, method]
    words += ["--rounds", arguments.rounds, "--steps", arguments.steps]
    words += ["--set", *arguments.set] if arguments.set else []
    words += ["--processor-time"] if arguments.processor_time else []
    return subprocess.Popen(list(map(str, words)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def summary(steps: list[dict[str, float]]) -> dict[str, float]:
    """Return the medians of a step and of its parts, in seconds."""
    whole = {"step": statistics.median(sum(step.values()) for step in steps)}
    return whole | {part: statistics.median(step[part] for step in steps) for part in PARTS}


# ---- one training, in a process of its own ---------------------------------------------------------------------------


def train(arguments: argparse.Namespace, network: str, method: str) -> None:
    """Train round after round, each when a line comes in, and print what the steps of each round cost."""
    from ignite.engine import Engine, Events

    folder = arguments.work / f"{network}_{method}"
    (folder / "models" / "last.ckpt").unlink(missing_ok=True)
    config = settings(folder, arguments.stack, network, arguments.rounds, arguments.steps, arguments.set)
    trainer = ours(config) if method == "ours" else plain(config)
    clock = Clock(time.process_time if arguments.processor_time else time.perf_counter, trainer.state.device)
    clock.attach(trainer)
    trainer.add_event_handler(Events.EPOCH_STARTED, lambda _: sys.stdin.readline())

    def tell(_: Engine) -> None:
        print("STEPS " + json.dumps(clock.steps()), flush=True)

    trainer.add_event_handler(Events.EPOCH_COMPLETED, tell)
    trainer.run()


class Clock:
    """Note when the parts of a trainer's steps end.

    Args:
        now: tells the time in seconds.
        device: what is waited for before the time is told.
    """

    def __init__(self, now: Callable[[], float], device: Any) -> None:
        self._now, self._device = now, device
        self._marks: list[tuple[str, float]] = []

    def attach(self, trainer: Any) -> None:
        """Follow the trainer's events."""
        from ignite.engine import Events
        from monai.engines.utils import IterationEvents

        for part, name in PARTS.items():
            event = getattr(Events, name, None) or getattr(IterationEvents, name)
            trainer.add_event_handler(event, self._mark, part)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._mark, "rest")

    def _mark(self, _: Any, part: str) -> None:
        finish(self._device)
        self._marks.append((part, self._now()))

    def steps(self) -> list[dict[str, float]]:
        """Return the seconds of every part of the steps since the last call."""
        marks, self._marks = self._marks, []
        parts = [(part, now - before) for (_, before), (part, now) in pairwise(marks)]
        return [dict(parts[number : number + len(PARTS)]) for number in range(0, len(parts), len(PARTS))]


def settings(folder: Path, stack: Path, network: str, rounds: int, steps: int, changes: Sequence[str] = ()) -> Any:
    """Parse a bundle's training in its size small, an epoch a round, with settings NAME=VALUE of its own."""
    from monai.bundle import ConfigParser

    from monai_app.bundle.configs.templates import size_path, template_path
    from monai_app.yamlfile import read_yaml

    name = f"fibsem_{network}_segmentation"
    config = read_yaml(template_path(name) / "configs" / "train.yaml") | read_yaml(size_path(name, "small"))
    config |= {"bundle_root": str(folder), "dataset_dir": str(stack), "max_epochs": rounds + 1}
    config |= {name: yaml.safe_load(value) for name, _, value in (change.partition("=") for change in changes)}
    config |= {"steps_per_epoch": steps, "val_interval": rounds + 2}
    return ConfigParser(config)


def ours(config: Any) -> Any:
    """Return the bundle's trainer, ready to run."""
    for expressions in ("imports", "initialize"):
        config.get_parsed_content(expressions)
    return config.get_parsed_content("train::trainer")


def plain(config: Any) -> Any:
    """Return a trainer as MONAI's tutorials have it, of the bundle's network, loss and transforms."""
    from monai.data import CacheDataset, DataLoader
    from monai.engines import SupervisedTrainer
    from monai.utils import set_determinism
    from torch.optim import AdamW

    config["augmentation::deform::_target_"] = "Rand2DElasticd"
    config.get_parsed_content("imports")
    set_determinism(seed=0)
    items = config.get_parsed_content("train::dataset").data
    device = config.get_parsed_content("device")
    network = config.get_parsed_content("network_def").to(device)
    dataset = CacheDataset(items, config.get_parsed_content("train::preprocessing"), hash_as_key=True, progress=False)
    rate, decay = (config.get_parsed_content(name) for name in ("learning_rate", "weight_decay"))
    return SupervisedTrainer(
        device=device,
        amp=config.get_parsed_content("amp"),
        max_epochs=config.get_parsed_content("max_epochs"),
        train_data_loader=DataLoader(dataset, batch_size=config.get_parsed_content("batch_size"), shuffle=True),
        network=network,
        optimizer=AdamW(network.parameters(), lr=rate, weight_decay=decay),
        loss_function=config.get_parsed_content("loss"),
    )


if __name__ == "__main__":
    main()
