"""The description of a sample: where its images and annotations are, and what they mean (``sample.yaml``)."""

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from monai_app.domain.numbering import PLACE
from monai_app.domain.phase import Phase, check_phases
from monai_app.domain.validation import Items, Strict, Text, read_document, shown
from monai_app.errors import ConfigError
from monai_app.stack.ingestion.questions import check_answered
from monai_app.stack.ingestion.source_description import (
    DetectorDescription,
    GreyDescription,
    SourceDescription,
    expand_path,
)

Nanometres = Annotated[float, Field(ge=0.001, le=1_000_000, json_schema_extra={"unit": "nm"})]

_MaybeNanometres = Annotated[
    Nanometres | None,
    Field(
        json_schema_extra={
            "unit": "nm",
            "rule": "a number from 0.001 to 1000000",
            "remedy": "write a number, in nm",
        }
    ),
]


def _check_detector_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ConfigError(
            f"name {name!r} must contain only letters, digits, '_', '-' and '.' and start with a letter or digit (it "
            "becomes part of variant names such as unet_ice+tld_3); rename it"
        )
    return name


def _check_different(detectors: dict[str, DetectorDescription]) -> dict[str, DetectorDescription]:
    seen: dict[str, str] = {}
    for name in detectors:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise ConfigError(f"{other!r} and {name!r} are the same name (case is ignored); rename one")
    return detectors


def _check_once(numbers: tuple[int, ...]) -> tuple[int, ...]:
    number, times = Counter(numbers).most_common(1)[0] if numbers else (0, 0)
    if times > 1:
        raise ConfigError(f"{number} occurs twice; give every number once")
    return numbers


Finding = Literal["constant_slices", "constant_detectors", "repeated_slices", "voxel_size"]
FINDINGS: tuple[Finding, ...] = get_args(Finding)
"""Findings in files that are usually mistakes."""
DetectorName = Annotated[str, AfterValidator(_check_detector_name)]
"""Pattern of detector names, which become part of variant names such as ``unet_ice+tld_3``."""
_Numbers = Annotated[Items[int], AfterValidator(_check_once)]
_Slice = Annotated[int, Field(ge=1)]


class VoxelDescription(Strict):
    """Voxel size in nm; missing axes are read from the files."""

    z: _MaybeNanometres = None
    """Distance between two slices."""
    y: _MaybeNanometres = None
    """Distance between two rows."""
    x: _MaybeNanometres = None
    """Distance between two columns."""


class Voxel(VoxelDescription):
    """Size of a voxel, nm."""

    z: Nanometres
    """Distance between two slices."""
    y: Nanometres
    """Distance between two rows."""
    x: Nanometres
    """Distance between two columns."""


def _check_pattern(pattern: str) -> str:
    if pattern.count(PLACE) != 1 or f"*{PLACE}" in pattern:
        raise ConfigError(
            f"{shown(pattern)} does not contain the place of the number; write it as {PLACE}, once and not after '*', "
            "as in slice_{}_run*"
        )
    return pattern


class SliceNumbers(Strict):
    """The numbering of slices in file names."""

    pattern: Annotated[str, AfterValidator(_check_pattern)] | None = None
    """Place of the number in file names, as in `slice_{}_run*`; `*` is any text. Found automatically by default."""
    gaps: Literal["refuse", "keep", "ignore"] = "refuse"
    """Meaning of missing numbers: an error, missing slices, or nothing."""


class AnnotationDescription(Strict):
    """The source of annotations, the meaning of their values, and which slices are for training and testing."""

    source: Annotated[SourceDescription, BeforeValidator(expand_path)]
    """A folder of label images named by slice, or one file with all of them, or a part of them, as for a detector."""
    mapping: Annotated[dict[int, Text], Field(min_length=1)]
    """Value in the source: name of a phase. 0 may be a real class."""
    unlabelled: _Numbers = ()
    """Values in the source that mean unlabelled."""
    rest_unlabelled: bool = False
    """Whether all other values are unlabelled instead of an error."""
    slices: _Numbers | None = None
    """The z of every plane if the source is one file; by default plane = z."""
    train: Items[int | str] = ()
    """Slices to train on, as z, as the file stem of a slice, or as a range `start:stop:step` of z, as in Python."""
    test: Items[int | str] = ()
    """Slices to test on, likewise."""
    unused: Literal["refuse", "ignore"] = "refuse"
    """Meaning of label files of unlisted slices: an error, or nothing."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for value in self.unlabelled:
            if value in self.mapping:
                raise ConfigError(
                    f"value {value} is both phase {self.mapping[value]!r} in 'mapping' and in 'unlabelled'; a value "
                    "has only one meaning; remove it from one of them"
                )
        if not self.train and not self.test:
            raise ConfigError("no slice is listed in 'train' or 'test'; list the annotated slices there")
        return self


class SampleDescription(Strict):
    """The description of a sample for `ingest`."""

    name: Text
    """The sample's name."""
    voxel: VoxelDescription = Field(default=VoxelDescription(), alias="voxel_nm")
    """Voxel size in nm; missing axes are read from the files."""
    detectors: Annotated[
        dict[DetectorName, Annotated[DetectorDescription, BeforeValidator(expand_path)]],
        Field(min_length=1),
        AfterValidator(_check_different),
    ]
    """Detector: a folder with one image per slice, or one file with all slices, or a part of them; in channel order."""
    grey: GreyDescription | None = None
    """How stored values become grey values; by default they are unchanged."""
    numbers: SliceNumbers = SliceNumbers()
    """The numbering of slices in file names."""
    independent: bool = False
    """Whether the slices are single micrographs that are not neighbours."""
    breaks: Annotated[Items[_Slice], AfterValidator(_check_once)] = ()
    """Slices (z) at which a new series starts; slabs do not extend across."""
    phases: Annotated[Items[Phase], AfterValidator(check_phases)] = ()
    """The phases 1..K; none if nothing is annotated."""
    annotations: AnnotationDescription | None = None
    """Annotated slices."""
    accept: Items[Finding] = ()
    """Accepted findings that are usually mistakes: slices or detectors of one grey value, the same picture twice."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.independent and self.breaks:
            raise ConfigError("'independent' already separates all slices; leave out 'breaks' or 'independent: true'")
        names = [phase.name for phase in self.phases]
        mapping = self.annotations.mapping if self.annotations else {}
        if strange := [f"value {value} means {name!r}" for value, name in mapping.items() if name not in names]:
            raise ConfigError(
                f"annotations::mapping: {', '.join(strange)}, which is not a phase; the phases are "
                f"{', '.join(names) or '(none)'}: correct the name or add the phase"
            )
        return self

    @classmethod
    def from_yaml(cls, path: Path | str) -> Self:
        """Read a description; the paths in it are relative to the file.

        Raises:
            ConfigError: the file is missing, no YAML, holds open questions, or breaks a rule of the schema
                (docs/reference/stack-store.md).
        """
        path = Path(path)
        check_answered(path)
        return read_document(cls, path, path.parent)
