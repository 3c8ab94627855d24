"""The size of a bundle, chosen by time limit and machine."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import Tensor, nn

from monai_app.bundle.configs.plain import read_config
from monai_app.bundle.configs.settings import read_overlays
from monai_app.bundle.configs.templates import config_names, size_path, template_path
from monai_app.bundle.length.measurement import Measurement, measure
from monai_app.device.memory import free_bytes
from monai_app.progress import counted
from monai_app.stack import Stack

AUTO = "auto"
"""Name of the size that is chosen by time limit and machine."""

LEAST_STEPS = 1000
"""Minimum steps of a larger size: a small network trained for long beats a large one trained briefly."""

_TRYING, _TRIED_STEPS = 0.05, 4
"""Share of the time that measuring a size may take, and its minimum number of steps."""

_BYTES_A_WEIGHT = 20


class Work:
    """The cost of a training step, computed from shapes.

    Attributes:
        operations: floating-point operations of the network in a step's forward pass.
        memory: bytes of the maps kept for the backward pass, their gradients, weights and optimiser.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        from torch.utils.flop_counter import FlopCounterMode  # loads Triton, whose LLVM conflicts with that of a GUI

        parser = ConfigParser(dict(config))
        rows, columns = config["crop"]
        channels = len(config["detectors"]) * config["slices"]
        kept: list[int] = []

        def keep(module: nn.Module, _: Any, result: Any) -> None:
            if isinstance(result, Tensor) and not any(module.children()):
                kept.append(result.numel())

        with torch.device("meta"):
            network: nn.Module = parser.get_parsed_content("network_def")
            for module in network.modules():
                module.register_forward_hook(keep)
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                network(torch.zeros(config["batch_size"], channels, rows, columns))
        self.operations = counter.get_total_flops()
        weights = sum(weight.numel() for weight in network.parameters())
        self.memory = 2 * 4 * sum(kept) + _BYTES_A_WEIGHT * weights


def sizes_by_work(bundle: str, config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the settings of a bundle's sizes by name, with the cheapest steps first.

    Args:
        bundle: name of a bundle of the package.
        config: the config that they override; it names detectors, slices and phases.
    """
    sizes = {name: read_overlays([size_path(bundle, name)]) for name in config_names(f"sizes/{bundle}")}
    return dict(sorted(sizes.items(), key=lambda entry: Work({**config, **entry[1]}).operations))


def fitting_crop(size: Mapping[str, Any], config: Mapping[str, Any], stacks: Sequence[Stack]) -> list[int]:
    """Return the rows and columns of a size's crop, limited to the slices of the stacks.

    Args:
        size: its settings.
        config: the config that they override.
        stacks: the training stacks.
    """
    stride = int(ConfigParser({**config, **size}).get_parsed_content("stride"))
    sides = zip(size["crop"], *(stack.shape[1:] for stack in stacks), strict=True)
    return [max(stride, min(each) // stride * stride) for each in sides]


def cheapest_size(bundle: str, stacks: Sequence[Stack], settings: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name of a bundle's size with the cheapest steps, and the settings with a crop that fits the stacks.

    Args:
        bundle: name of a bundle of the package.
        stacks: the training stacks.
        settings: that the user chose.
    """
    config = read_config(template_path(bundle) / "configs" / "train.yaml")
    name, size = next(iter(sizes_by_work(bundle, config).items()))
    return name, {"crop": fitting_crop(size, {**config, **settings}, stacks), **settings}


def larger_size(
    run: Path,
    found: Measurement,
    bundle: str,
    stacks: Sequence[Stack],
    overrides: Mapping[str, Any],
    given: Mapping[str, Any],
    seconds: float,
    report: Callable[[str], None],
) -> tuple[dict[str, Any], Measurement]:
    """Return the settings of the largest size that fits into memory and makes `LEAST_STEPS` steps in the time.

    Sizes are tried from the cheapest on; the first that does not fit ends the search. A size whose steps would take too
    long to try is judged by its number of operations.

    Args:
        run: run folder of the cheapest size.
        found: cost of its training.
        bundle: name of its bundle.
        stacks: the training stacks.
        overrides: config ids and values of the training call.
        given: settings that the user chose.
        seconds: the time.
        report: called with one line per size.

    Returns:
        Settings that override those of the run folder, empty if it has the right size, and the cost of that size.
    """
    config = read_config(run / "configs" / "train.yaml")
    cheapest, *larger = sizes_by_work(bundle, config).items()
    operations, free = Work(config).operations, free_bytes(torch.device(found.device))
    chosen: dict[str, Any] = {}
    best, name = found, cheapest[0]
    for next_name, size in larger:
        laid = {**size, "crop": fitting_crop(size, config, stacks), **given}
        work = Work({**config, **laid})
        expected = found.step * work.operations / operations
        if work.memory > free:
            why = f"needs about {work.memory / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} are free"
        elif expected * _TRIED_STEPS > _TRYING * seconds:
            why = f"a step would take about {expected:.2g} s by its number of operations, too long to try"
        else:
            tried = measure(run, {**overrides, **laid})
            steps = counted(round(seconds / tried.step), "step")
            why = f"{tried.step:.2g} s a step, so {steps} at most, of at least {LEAST_STEPS}"
            if seconds / tried.step >= LEAST_STEPS:
                chosen, best, name = laid, tried, next_name
                continue
        report(f"size {next_name} is too large here: {why}")
        break
    report(f"size {name} is chosen")
    return chosen, best
