"""The description of a sample: where its images and annotations are, and what they mean (``sample.yaml``)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monai_app.domain import fields
from monai_app.domain.phase import Phase, check_phases
from monai_app.domain.validation import validated
from monai_app.errors import ConfigError
from monai_app.yamlfile import read_yaml

DETECTOR_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""What a detector's name may be: it becomes part of variant names such as ``unet_ice+tld_3``."""


@dataclass(frozen=True)
class AnnotationDescription:
    """Where annotations come from, what their values mean and which slices train and test.

    Args:
        source: a folder of label TIFFs named by slice, or one multi-page TIFF.
        mapping: value in the source -> name of a phase.
        unlabelled: values in the source that mean unlabelled.
        rest_unlabelled: values named nowhere are unlabelled instead of an error.
        slices: the z of every page of a multi-page source; None where page = z or the source is a folder.
        train: slices to train on, as z or as the file stem of a slice.
        test: slices to test on, likewise.

    Raises:
        ConfigError: a value with two meanings, or no slice in ``train`` and ``test``.
    """

    source: Path
    mapping: Mapping[int, str]
    unlabelled: tuple[int, ...] = ()
    rest_unlabelled: bool = False
    slices: tuple[int, ...] | None = None
    train: tuple[int | str, ...] = ()
    test: tuple[int | str, ...] = ()

    def __post_init__(self) -> None:
        for value in self.unlabelled:
            if value in self.mapping:
                raise ConfigError(
                    f"annotations: value {value} is both phase {self.mapping[value]!r} in 'mapping' and in "
                    "'unlabelled'; a value has one meaning: remove it from one of them"
                )
        if not self.train and not self.test:
            raise ConfigError("annotations: no slice is listed in 'train' or 'test'; list the annotated slices there")


@dataclass(frozen=True)
class SampleDescription:
    """All that `ingest` needs to know about a sample.

    Args:
        name: the sample's name.
        voxel_nm: voxel size z, y, x in nm.
        detectors: detector name -> a folder of TIFFs or one multi-page TIFF, in channel order.
        phases: the phases 1..K; may be empty where nothing is annotated.
        annotations: None where nothing is annotated.

    Raises:
        ConfigError: a detector name that cannot be used, phases that are not 1..K, a mapping to an unknown phase.
    """

    name: str
    voxel_nm: tuple[float, float, float]
    detectors: Mapping[str, Path]
    phases: tuple[Phase, ...] = ()
    annotations: AnnotationDescription | None = field(default=None)

    def __post_init__(self) -> None:
        fields.text(self.name, "name")
        for axis, size in zip("zyx", self.voxel_nm, strict=True):
            fields.positive(size, f"voxel_nm: {axis}")
        _check_detectors(tuple(self.detectors))
        check_phases(self.phases)
        if self.annotations is not None:
            _check_mapping(self.annotations.mapping, self.phases)

    @classmethod
    def from_yaml(cls, path: Path | str) -> "SampleDescription":
        """Read a description; the paths in it are relative to the file.

        Raises:
            ConfigError: the file is missing, no YAML, or breaks a rule of the schema (docs/stack-store.md).
        """
        path = Path(path)
        content = read_yaml(path)
        try:
            return _parse(content, path.parent)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None


def _parse(content: Any, folder: Path) -> SampleDescription:
    root = fields.mapping(content, "description")
    fields.check_keys(root, "description", ("name", "voxel_nm", "detectors"), ("phases", "annotations"))
    voxel = fields.mapping(root["voxel_nm"], "voxel_nm")
    fields.check_keys(voxel, "voxel_nm", ("z", "y", "x"))
    z, y, x = (fields.positive(voxel[axis], f"voxel_nm: {axis}") for axis in "zyx")
    detectors = fields.mapping(root["detectors"], "detectors")
    annotations = root.get("annotations")
    return SampleDescription(
        name=fields.text(root["name"], "name"),
        voxel_nm=(z, y, x),
        detectors={_detector(name): _path(source, f"detectors: {name}", folder) for name, source in detectors.items()},
        phases=tuple(_phase(entry) for entry in fields.items(root.get("phases", ()), "phases")),
        annotations=None if annotations is None else _annotations(annotations, folder),
    )


def _detector(name: Any) -> str:
    return fields.text(name, "detectors: name")


def _path(value: Any, where: str, folder: Path) -> Path:
    path = folder / Path(fields.text(value, where)).expanduser()
    if not path.exists():
        raise ConfigError(f"{where}: {path} does not exist; paths are relative to the description: correct it")
    return path


def _phase(entry: Any) -> Phase:
    return validated(Phase, entry, "phases")


def _annotations(content: Any, folder: Path) -> AnnotationDescription:
    where = "annotations"
    entries = fields.mapping(content, where)
    optional = ("unlabelled", "rest_unlabelled", "slices", "train", "test")
    fields.check_keys(entries, where, ("source", "mapping"), optional)
    meaning = fields.mapping(entries["mapping"], f"{where}: mapping")
    slices = entries.get("slices")
    return AnnotationDescription(
        source=_path(entries["source"], f"{where}: source", folder),
        mapping={
            fields.whole(value, f"{where}: mapping"): fields.text(name, f"{where}: mapping: {value}")
            for value, name in meaning.items()
        },
        unlabelled=fields.wholes(entries.get("unlabelled", ()), f"{where}: unlabelled"),
        rest_unlabelled=fields.flag(entries.get("rest_unlabelled", False), f"{where}: rest_unlabelled"),
        slices=None if slices is None else fields.wholes(slices, f"{where}: slices"),
        train=_slice_list(entries.get("train", ()), f"{where}: train"),
        test=_slice_list(entries.get("test", ()), f"{where}: test"),
    )


def _slice_list(value: Any, where: str) -> tuple[int | str, ...]:
    entries = fields.items(value, where)
    return tuple(entry if isinstance(entry, str) else fields.whole(entry, where) for entry in entries)


def _check_detectors(names: tuple[str, ...]) -> None:
    if not names:
        raise ConfigError("detectors: there is none; name at least one detector and its images")
    seen: dict[str, str] = {}
    for name in names:
        if not DETECTOR_NAME.fullmatch(name):
            raise ConfigError(
                f"detectors: name {name!r} may hold letters, digits, '_', '-' and '.' only and starts with a letter or "
                "digit (it becomes part of variant names such as unet_ice+tld_3); rename it"
            )
        if name.casefold() in seen:
            raise ConfigError(
                f"detectors: {seen[name.casefold()]!r} and {name!r} are the same name (case does not count); rename one"
            )
        seen[name.casefold()] = name


def _check_mapping(meaning: Mapping[int, str], phases: tuple[Phase, ...]) -> None:
    names = [phase.name for phase in phases]
    for value, name in meaning.items():
        if name not in names:
            raise ConfigError(
                f"annotations: mapping: value {value} means {name!r}, which is no phase; the phases are "
                f"{', '.join(names) or '(none)'}: correct the name or add the phase"
            )
