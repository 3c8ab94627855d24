"""The model: its input, training settings and training curves."""

from collections.abc import Iterator, Mapping
from typing import Any

from monai_app.bundle.configs.templates import template_path, template_paths
from monai_app.bundle.configs.training_settings import NOT_SETTINGS
from monai_app.domain.model_spec import ModelSpec
from monai_app.networks.registry import build_network, is_known
from monai_app.progress import counted, duration
from monai_app.reporting.content import Block, Facts, Note, Plot, Section, Table
from monai_app.reporting.curves import Curves, read_curves, smooth
from monai_app.reporting.figures import BLUE, GREY, RED, figure, line, points
from monai_app.reporting.formatting import count, fixed, listed, number, slices
from monai_app.reporting.sources import Run, Sources
from monai_app.yamlfile import read_yaml

_POINTS = 2000
"""Maximum points of a curve."""

_IN_THE_FACTS = ("detectors", "slices")


def model(sources: Sources) -> Section | None:
    """Describe the model and its training."""
    run = sources.run
    if run is None:
        return None
    curves = read_curves(run.path / "eval")
    return Section(
        "model",
        "Model",
        "The network that assigns a phase to every pixel. It was trained only on the training slices; the curves show "
        "whether training had converged when it ended.",
        [Facts(list(_facts(run, curves))), *_settings(run), *_curves(curves)],
    )


def _facts(run: Run, curves: Curves | None) -> Iterator[tuple[str, str]]:
    spec = run.spec
    yield "run folder", run.path.name
    yield "network", spec.network + _parameters(spec)
    yield (
        "reads",
        f"{spec.slices} neighbouring slices of {listed(spec.detectors)}"
        if spec.slices > 1
        else (f"single slices of {listed(spec.detectors)}"),
    )
    yield "phases", listed(spec.phase_names)
    trained = trained_slices(run)
    if trained:
        yield "trained on", "; ".join(f"{name}, slices {slices(zs)}" for name, zs in trained.items())
    if curves:
        epochs = max(curves.validation, default=0)
        yield "training", f"{count(max(curves.loss))} steps, {counted(epochs, 'epoch')}, {duration(curves.seconds)}"
    if curves and curves.best_epoch is not None:
        best = curves.best_epoch
        yield "kept weights", f"of epoch {best}, mean IoU {fixed(curves.validation[best])} on the validation blocks"
    yield "weights (SHA-256)", f"{run.weights_sha256[:12]}…"
    if "monai_app" in run.record:
        yield "made with", f"monai-app {run.record['monai_app']}"


def trained_slices(run: Run) -> dict[str, list[int]]:
    """Return the training slices of a run by stack name; empty if they were not recorded."""
    names = {each.identity: each.name for each in run.spec.training_stacks}
    records = run.trained_on
    return {
        names.get(each["identity"], f"stack {n}") if len(names) == len(records) else f"stack {n}": each["slices"]
        for n, each in enumerate(records, 1)
    }


def _parameters(spec: ModelSpec) -> str:
    if spec.definition is None or not is_known(spec.definition.name):
        return ""
    return f", {count(sum(each.numel() for each in build_network(spec.definition).parameters()))} parameters"


def _settings(run: Run) -> Iterator[Block]:
    record: Mapping[str, Any] = run.record
    own = {
        name: value
        for name, value in record.get("settings", {}).items()
        if name not in NOT_SETTINGS and name not in _IN_THE_FACTS
    }
    bundle = record.get("bundle")
    if bundle in [path.name for path in template_paths()]:
        defaults = read_yaml(template_path(bundle) / "configs" / "train.yaml")
        own = {name: value for name, value in own.items() if defaults.get(name) != value}
        rows = [[name, str(value), str(defaults.get(name, "-"))] for name, value in own.items()]
    else:
        rows = [[name, str(value), "-"] for name, value in own.items()]
    if rows:
        yield Table("Settings that differ from the network's defaults", ("setting", "here", "default"), rows, False)
    elif record:
        yield Note("All settings are the network's defaults.")
    else:
        yield Note("The settings of this training were not recorded.", "missing")


def _curves(curves: Curves | None) -> Iterator[Block]:
    if curves is None:
        yield Note("The run folder contains no training curves (eval/events.*).", "missing")
        return
    steps, losses = list(curves.loss), list(curves.loss.values())
    window = max(len(losses) // 30, 1)
    means, every = smooth(losses, window), -(-len(losses) // _POINTS)
    which = "every step" if every == 1 else f"one step in {every}"
    drawn = [
        line(which, (steps[::every], losses[::every]), GREY, opacity=0.4),
        line(f"mean of {window} steps", (steps[::every], means[::every]), BLUE),
    ]
    yield Plot(
        "Training loss: lower is better; a flat end means that more steps would have gained little",
        f"The loss decreases from {number(losses[0])} to {number(means[-1])} over {counted(len(losses), 'step')}.",
        figure(drawn, "step", "loss"),
    )
    if curves.validation:
        epochs, ious = list(curves.validation), list(curves.validation.values())
        best = curves.best_epoch or epochs[0]
        kept = points("kept weights", ([best], [curves.validation[best]]), RED, "diamond")
        both = [line("mean IoU", (epochs, ious), BLUE), kept]
        yield Plot(
            "Mean IoU on the validation blocks (parts of the training slices that were excluded from training); 1 is "
            "perfect",
            f"Mean IoU reaches {fixed(max(ious))} in epoch {best} of {epochs[-1]}.",
            figure(both, "epoch", "mean IoU", yaxis={"range": [0, 1.02]}),
        )
