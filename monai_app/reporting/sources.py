"""Sources of a page: a run folder, a stack with labels, a folder of quantities, a study; at most one of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_app.bundle.configs.settings import read_json
from monai_app.bundle.model import read_spec
from monai_app.bundle.run_folder import RECORD, read_record
from monai_app.domain.model_spec import ModelSpec
from monai_app.domain.phase import Phase
from monai_app.domain.region import Region
from monai_app.domain.validation import validated
from monai_app.errors import ConfigError
from monai_app.files import file_sha256
from monai_app.metrics import read_scores
from monai_app.networks.calibration import temperature_of
from monai_app.quantities.report.folder import DOCUMENT
from monai_app.reporting.documents import PooledScores, QuantitiesDocument, StackScores
from monai_app.reporting.studies import Study, read_study
from monai_app.stack import Stack
from monai_app.stack.label_images.listing import label_images
from monai_app.stack.label_images.registry import read_phases
from monai_app.stack.label_images.resumable import finished_as
from monai_app.study.report.folder import DOCUMENT as STUDY
from monai_app.training.evaluation import is_evaluation, pooled_path

_METADATA = "configs/metadata.json"
_WEIGHTS = "models/model.pt"
_SECTIONS = ("intervals", "boundary", "surface", "confidence")
"""Entries of scores that earlier versions did not write."""

_RUN, _STORE, _QUANTITIES, _STUDY = "a run folder", "a store", "a folder of quantities", "a study's folder"
_MARKERS = {"zarr.json": _STORE, DOCUMENT: _QUANTITIES, _METADATA: _RUN, STUDY: _STUDY}


@dataclass(frozen=True)
class Scores:
    """The scores of a run's weights.

    Attributes:
        path: the document of all stacks.
        pooled: its content, with ``nan`` for undefined values.
        stacks: folder of a stack -> its document.
    """

    path: Path
    pooled: Mapping[str, Any]
    stacks: Mapping[Path, Mapping[str, Any]]


@dataclass(frozen=True)
class Run:
    """A trained model.

    Attributes:
        path: the run folder.
        spec: of the model.
        record: what the folder was created from; empty if not recorded.
        metadata: of the bundle.
        weights_sha256: SHA-256 of the weights.
        temperature: of the weights; 1 if they are not calibrated.
        scores: of these weights; None if there are none.
        unscored: why there are none.
    """

    path: Path
    spec: ModelSpec
    record: Mapping[str, Any]
    metadata: Mapping[str, Any]
    weights_sha256: str
    temperature: float
    scores: Scores | None
    unscored: str = ""

    @property
    def trained_on(self) -> list[Mapping[str, Any]]:
        """``identity`` at ingestion and ``slices`` of every training stack; empty if not recorded."""
        records = self.record.get("settings", {}).get("trained_on") or []
        return records if isinstance(records, list) else [records]

    def learned_from(self, ingested: str) -> set[int]:
        """Return z of the slices of a stack that it was trained on."""
        return {z for each in self.trained_on if each["identity"] == ingested for z in each["slices"]}


@dataclass(frozen=True)
class LabelImage:
    """A finished label image.

    Attributes:
        name: its name.
        folder: folder of its tables.
        phases: the phases of its values.
        attributes: recorded metadata, such as the model.
        slices: z of the segmented slices.
        region: the part of the stack that was segmented; None if not recorded.
        torch: version of PyTorch that computed it; None if not recorded.
        confidence: kind of its confidence map, by the name in `OUTPUTS`; None if not recorded.
    """

    name: str
    folder: Path
    phases: tuple[Phase, ...]
    attributes: Mapping[str, Any]
    slices: tuple[int, ...]
    region: Region | None
    torch: str | None
    confidence: str | None


@dataclass(frozen=True)
class Store:
    """A stack, and its label image that the page is about; None if it has none."""

    stack: Stack
    labels: LabelImage | None


@dataclass(frozen=True)
class Quantities:
    """The quantities of labels: the folder and its document."""

    path: Path
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Sources:
    """The sources of a page."""

    run: Run | None = None
    store: Store | None = None
    quantities: Quantities | None = None
    study: Study | None = None

    @property
    def labels(self) -> LabelImage | None:
        """The label image that the page is about."""
        return self.store.labels if self.store else None


def read_sources(paths: Sequence[Path], labels: str | None = None) -> Sources:
    """Read run folder, store, folder of quantities and study, in any order.

    Args:
        paths: at most one of each.
        labels: name of the label image; required if the store has several.

    Raises:
        ConfigError: a path is none of the four, two are of the same kind, labels are ambiguous, or a run is not
        trained.
        StackError: the store is damaged.
    """
    kinds: dict[str, Path] = {}
    for path in paths:
        kind = _kind(path)
        if kind in kinds:
            raise ConfigError(f"{path} is {kind}, and so is {kinds[kind]}, but a page is about one; give one of them")
        kinds[kind] = path
    if labels is not None and _STORE not in kinds:
        raise ConfigError(f"--labels {labels}: no store is given; also give the store NAME.ome.zarr with these labels")
    store = _read_store(kinds[_STORE], labels) if _STORE in kinds else None
    made = store.labels.attributes if store and store.labels else {}
    run = _read_run(kinds[_RUN], stand_ins=bool(made.get("stand_ins"))) if _RUN in kinds else None
    quantities = _read_quantities(kinds[_QUANTITIES]) if _QUANTITIES in kinds else None
    return Sources(run, store, quantities, read_study(kinds[_STUDY]) if _STUDY in kinds else None)


def _kind(path: Path) -> str:
    for marker, kind in _MARKERS.items():
        if (path / marker).is_file():
            return kind
    what = "is none of these" if path.exists() else "does not exist"
    raise ConfigError(
        f"{path} {what}: a run folder of monai-app train, a store NAME.ome.zarr, or a folder written by monai-app "
        "quantify or monai-app study is expected; give such folders"
    )


def _read_run(path: Path, *, stand_ins: bool) -> Run:
    weights = path / _WEIGHTS
    if not weights.is_file():
        raise ConfigError(f"{path} has no trained weights ({_WEIGHTS}); train it first: monai-app train STACK {path}")
    sha256 = file_sha256(weights)
    temperature = temperature_of(weights, sha256)
    scores, unscored = _read_scores(pooled_path(path, stand_ins=stand_ins), sha256, temperature)
    metadata = path / _METADATA
    return Run(
        path.absolute(),
        read_spec(metadata),
        read_record(path) if (path / RECORD).is_file() else {},
        read_json(metadata, ()),
        *(sha256, temperature, scores, unscored),
    )


def _read_scores(path: Path, sha256: str, temperature: float) -> tuple[Scores | None, str]:
    if not path.is_file():
        return None, "This model was not scored: run `monai-app evaluate STACK RUN` on a stack with a test slice."
    if not is_evaluation(path, sha256):
        return (
            None,
            f"The scores in {path.parent} belong to other weights, or are damaged: run `monai-app evaluate` again.",
        )
    pooled = read_scores(path)
    if not pooled.keys() >= {"temperature", *_SECTIONS}:
        return None, f"The scores in {path.parent} were written by an earlier version: run `monai-app evaluate` again."
    if pooled["temperature"] != temperature:
        return None, "The model was calibrated after it was scored: run `monai-app evaluate` again."
    try:
        PooledScores.model_validate(pooled)
        folders = [path.parent / Path(each["folder"]).name for each in pooled["stacks"]]
        stacks = {folder: read_scores(folder / path.name) for folder in folders}
        for each in stacks.values():
            StackScores.model_validate(each)
    except (OSError, ValueError):
        return None, f"The scores in {path.parent} are damaged: run `monai-app evaluate` again."
    return Scores(path, pooled, stacks), ""


def _read_store(path: Path, name: str | None) -> Store:
    stack = Stack.open(path)
    found = {each.name: each for each in label_images(stack)}
    if name is None and len(found) > 1:
        listed = ", ".join(f"{each.name} (by {each.model or 'unknown'})" for each in found.values())
        raise ConfigError(f"{path} has several label images, {listed}; choose one with --labels NAME")
    if name is not None and name not in found:
        there = f"it has {', '.join(found)}" if found else "it has none"
        raise ConfigError(
            f"--labels {name}: {path} has no finished label image of that name; {there}: name one of these"
        )
    if not found:
        return Store(stack, None)
    chosen = found[name or next(iter(found))]
    written = finished_as(stack.path, chosen.name) or {}
    return Store(
        stack,
        LabelImage(
            chosen.name,
            stack.path / "labels" / chosen.name,
            read_phases(stack.path, chosen.name),
            stack.label_attributes(chosen.name),
            chosen.slices,
            chosen.region,
            written.get("torch"),
            written.get("confidence"),
        ),
    )


def _read_quantities(path: Path) -> Quantities:
    document = read_json(path / DOCUMENT, ())
    validated(QuantitiesDocument, document, path / DOCUMENT, "run monai-app quantify again")
    return Quantities(path.absolute(), document)
