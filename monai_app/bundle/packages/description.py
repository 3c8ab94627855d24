"""The description of a packaged model: its provenance, metadata and README."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch
from monai.bundle import ConfigParser

from monai_app import __version__
from monai_app.bundle.packages.manifest import MANIFEST
from monai_app.bundle.packages.tile import FOLDER
from monai_app.bundle.run_folder import read_record
from monai_app.inference import Model
from monai_app.progress import counted
from monai_app.stack import Stack

PROVENANCE = "provenance.json"
"""File of a package with the data, settings, seed and versions that its weights come from."""

README = "docs/README.md"


def describe(folder: Path, model: Model, provenance: Mapping[str, Any], scores: Mapping[str, Any] | None) -> None:
    """Write the provenance of a package, and complete its metadata and README.

    Args:
        folder: of the package, with the files of the run.
        model: the run's model.
        provenance: see `provenance_of`.
        scores: of the model on all stacks; None if it was not scored.
    """
    (folder / PROVENANCE).write_text(_json(provenance), encoding="utf8")
    _complete_metadata(folder / "configs" / "metadata.json", provenance, scores)
    _complete_readme(folder / README, folder.name, model, provenance, scores)


def provenance_of(run: Path, model: Model, stack: Stack) -> dict[str, Any]:
    """Return where a run's weights come from; the stack's name and voxel size only if it was trained on this one."""
    record = read_record(run)
    config = ConfigParser.load_config_file(run / "configs" / "train.yaml")
    trained_on = record["settings"]["trained_on"]
    alone = isinstance(trained_on, Mapping) and stack.ingested == trained_on["identity"]
    return {
        "run": run.name,
        "bundle": record["bundle"],
        "weights_sha256": model.sha256,
        "data": {
            "trained_on": trained_on,
            "name": stack.name if alone else None,
            "voxel_nm": list(stack.voxel_nm) if alone else None,
            "training_stacks": record["settings"].get("training_stacks", []),
        },
        "seed": config["seed"],
        "model": model.describe(),
        "settings": record["settings"],
        "pretrained": record.get("pretrained"),
        "versions": {
            "monai_app": __version__,
            "monai_app at training": record.get("monai_app"),
            "monai": monai.__version__,
            "pytorch": torch.__version__.split("+")[0],
            "numpy": np.__version__,
            "pytorch-ignite": version("pytorch-ignite"),
        },
    }


def _trained_on(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Identity and slices of every training stack."""
    return [data["trained_on"]] if isinstance(data["trained_on"], Mapping) else data["trained_on"]


def _complete_metadata(path: Path, provenance: Mapping[str, Any], scores: Mapping[str, Any] | None) -> None:
    """Write scores, data and versions to the metadata."""
    metadata = json.loads(path.read_text(encoding="utf8"))
    versions, data = provenance["versions"], provenance["data"]
    metadata |= {f"{name}_version": versions[name] for name in ("monai", "pytorch", "numpy")}
    name = f"stack {data['name']!r}" if data["name"] else "a stack"
    metadata["data_source"] = "; ".join(
        f"{name}, identity {each['identity']}, trained on slices {each['slices']}" for each in _trained_on(data)
    )
    metadata.pop("eval_metrics", None)  # of the shipped bundle's experiments
    if scores is not None:
        ious = {f"iou_{row['phase']}": row["iou"] for row in scores["phases"] if row["iou"] is not None}
        whole = {"mean_iou": scores["mean_iou"], "pixel_accuracy": scores["pixel_accuracy"]}
        names = ("stack", "stack_identity", "slices")
        scored_on = [{name: each[name] for name in names} for each in scores["stacks"]]
        metadata["eval_metrics"] = whole | ious | {"scored_on": scored_on}
    path.write_text(_json(metadata), encoding="utf8")


def _complete_readme(
    path: Path, name: str, model: Model, provenance: Mapping[str, Any], scores: Mapping[str, Any] | None
) -> None:
    """Insert a description of this model before the bundle's README."""
    spec = model.spec
    scaling = [f"{name}: mean {stats.mean}, std {stats.std}" for name, stats in spec.scaling.items()]
    lines = [
        f"# {name}",
        "",
        "A trained model. The description of its template follows below.",
        "",
        f"- detectors: {', '.join(spec.detectors)}; {counted(spec.slices, 'slice')} at a time; {spec.dtype} pixels",
        f"- grey values are scaled by (grey - mean) / std: {'; '.join(scaling)}",
        f"- phases: {', '.join(f'{phase.value} {phase.name}' for phase in spec.phases)}",
        f"- weights: SHA-256 {model.sha256}; seed {provenance['seed']}",
        *(
            f"- trained on slices {each['slices']} of the stack with the identity {each['identity']}"
            for each in _trained_on(provenance["data"])
        ),
        f"- `{PROVENANCE}` has settings and versions, `{FOLDER}/` a part of a slice with its labels, `{MANIFEST}` the "
        "hash of every file; `monai-app check` verifies them",
        "",
        *score_table(scores),
        "",
    ]
    path.write_text("\n".join(lines) + "\n" + path.read_text(encoding="utf8"), encoding="utf8")


def score_table(scores: Mapping[str, Any] | None) -> list[str]:
    """Return the scores as lines of Markdown."""
    if scores is None:
        return ["This model was not scored."]
    names = ("iou", "dice", "precision", "recall", "fraction_error")
    rows = [
        f"| {row['phase']} | " + " | ".join("-" if row[n] is None else f"{row[n]:.4f}" for n in names) + " |"
        for row in scores["phases"]
    ]
    mean, accuracy = scores["mean_iou"], scores["pixel_accuracy"]
    summary = f"mean IoU {'-' if mean is None else f'{mean:.4f}'}, pixel accuracy {accuracy:.4f}"
    return [
        f"Scores on {_places(scores)}: {summary}.",
        "",
        "| phase | IoU | Dice | precision | recall | fraction error |",
        "|---|---|---|---|---|---|",
        *rows,
    ]


def _places(scores: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{counted(len(each['slices']), 'test slice')} {each['slices']} of stack {each['stack']!r}, "
        f"identity {each['stack_identity']}"
        for each in scores["stacks"]
    )


def _json(content: Any) -> str:
    return json.dumps(content, indent=2) + "\n"
