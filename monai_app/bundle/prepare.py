"""Make a run folder: a bundle of its own, with this stack's detectors, phases and scaling written into its configs.

What is trained, evaluated, deployed and exported is always this one folder, so nothing that belongs to the model lives
on a command line that may be forgotten.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from monai_app import __version__
from monai_app.bundle.settings import apply_settings, read_overlays
from monai_app.errors import ConfigError, TargetExistsError
from monai_app.files import whole_folder
from monai_app.stack import Stack
from monai_app.training.items import annotated_items
from monai_app.training.split import split_stack
from monai_app.transforms import measure_scaling

RECORD = "run.json"
"""File of a run folder that says what it was made from; a resumed run must agree with it."""

CONFIGS = ("train.yaml", "inference.yaml")
"""The configs that stand alone and hold the model's settings; evaluate.yaml is laid over train.yaml."""

STRIDE = 16
"""The U-Net pools four times, so a crop's sides must be multiples of 2**4."""


def prepare(
    template: Path,
    stack: Stack,
    run: Path,
    *,
    overlays: Sequence[Path] = (),
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> bool:
    """Make the run folder, or find it made from the same things before.

    Args:
        template: the bundle to start from.
        stack: the stack to train on; gives phases, scaling and, unless set, the detectors.
        run: the folder to make; it appears whole or not at all.
        overlays: YAML files of settings, each laid over those before it.
        settings: config ids and values, laid over the overlays.
        overwrite: replace an existing folder.

    Returns:
        Whether the folder is new; ``False`` means that a run can be resumed.

    Raises:
        ConfigError: a setting that is unknown or does not fit the stack.
        StackError: a detector that the stack does not have.
        AnnotationError: no annotated slice to train on, or too little labelled.
        TargetExistsError: the folder exists and was made from something else.
    """
    chosen = _complete({**read_overlays(overlays), **(settings or {})}, template, stack)
    record = {"bundle": template.name, "stack": stack.identity, "settings": chosen, "monai_app": __version__}
    if run.exists() and not overwrite:
        _check_same(run, record)
        return False
    with whole_folder(run, RECORD, overwrite=overwrite) as partial:
        shutil.copytree(template, partial, dirs_exist_ok=True)
        apply_settings([partial / "configs" / name for name in CONFIGS], chosen)
        _describe_model(partial / "configs" / "metadata.json", chosen)
        (partial / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf8")
    return True


def _complete(settings: dict[str, Any], template: Path, stack: Stack) -> dict[str, Any]:
    """Add what the stack says to the user's settings, and check the two against each other."""
    defaults = YAML(typ="safe").load(template / "configs" / "train.yaml")
    detectors = list(settings.get("detectors", stack.detectors))
    slices = settings.get("slices", defaults["slices"])
    stack.read_slab(0, detectors, slices, window=(slice(1), slice(1)))  # refuses unknown detectors and even slabs
    _check_crop(settings.get("crop", defaults["crop"]), stack)
    phases = [{"value": phase.value, "name": phase.name, "rgb": list(phase.rgb)} for phase in stack.phases]
    train = [item["z"] for item in annotated_items(str(stack.path), stack.phases, "train")]
    fraction, block = (settings.get(key, defaults[key]) for key in ("validation_fraction", "validation_block"))
    split_stack(stack, fraction, block)  # refuses what cannot be split, before anything is written
    scaling = measure_scaling(stack, detectors, train)
    return {**settings, "detectors": detectors, "slices": slices, "phases": phases, "scaling": scaling}


def _check_crop(crop: Sequence[int], stack: Stack) -> None:
    sides = stack.shape[1:]
    fits = len(crop) == 2 and all(0 < c <= s and c % STRIDE == 0 for c, s in zip(crop, sides, strict=True))
    if not fits:
        largest = [side // STRIDE * STRIDE for side in sides]
        raise ConfigError(
            f"crop {list(crop)}: rows and columns must be multiples of {STRIDE} and no larger than the slices "
            f"{list(sides)}; use for instance --set crop={[min(192, side) for side in largest]}"
        )


def _describe_model(metadata: Path, settings: Mapping[str, Any]) -> None:
    """Write the model's channels and phases into metadata.json."""
    document = json.loads(metadata.read_text(encoding="utf8"))
    detectors, half = settings["detectors"], settings["slices"] // 2
    channels = [f"z{offset:+d}:{name}" for offset in range(-half, half + 1) for name in detectors]
    names = [phase["name"] for phase in settings["phases"]]
    formats = document["network_data_format"]
    for tensor, meaning in ((formats["inputs"]["image"], channels), (formats["outputs"]["pred"], names)):
        tensor["num_channels"] = len(meaning)
        tensor["channel_def"] = {str(index): name.replace("+0", "") for index, name in enumerate(meaning)}
    metadata.write_text(json.dumps(document, indent=2) + "\n", encoding="utf8")


def _check_same(run: Path, record: Mapping[str, Any]) -> None:
    """Refuse to resume a run that was made from something else, naming the differences."""
    path = run / RECORD
    if not path.is_file():
        raise TargetExistsError(
            f"{run} exists and is no training run; choose another folder, or --overwrite to replace it"
        )
    found = json.loads(path.read_text(encoding="utf8"))
    wanted = json.loads(json.dumps(record))
    differences = [
        f"{name} is {old!r} there and {new!r} now"
        for name, old, new in _pairs(found, wanted)
        if old != new and name != "monai_app"
    ]
    if differences:
        raise TargetExistsError(
            f"{run} was made from something else: {'; '.join(differences)}. Choose another folder, "
            "or --overwrite to train from the start"
        )


def _pairs(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Pair the entries of two records, the settings one by one."""
    old, new = ({**record, **record["settings"], "settings": None} for record in (found, wanted))
    return [(name, old.get(name), new.get(name)) for name in sorted({*old, *new})]
