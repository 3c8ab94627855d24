"""The description of a sample: where its images and annotations are, and what they mean (``sample.yaml``)."""

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from monai_app.domain.numbering import PLACE
from monai_app.domain.phase import Phase, check_phases
from monai_app.domain.validation import Items, Strict, Text, read_document, shown
from monai_app.errors import ConfigError
from monai_app.names import is_printable

Nanometres = Annotated[float, Field(ge=0.001, le=1_000_000, json_schema_extra={"unit": "nm"})]


def _check_detector_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ConfigError(
            f"name {name!r} may hold letters, digits, '_', '-' and '.' only and starts with a letter or digit (it "
            "becomes part of variant names such as unet_ice+tld_3); rename it"
        )
    return name


def _check_different(detectors: dict[str, Path]) -> dict[str, Path]:
    seen: dict[str, str] = {}
    for name in detectors:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise ConfigError(f"{other!r} and {name!r} are the same name (case does not count); rename one")
    return detectors


def _find_source(value: Any, info: ValidationInfo) -> Path:
    """Make a path of a description, which is relative to the description's folder, absolute."""
    if not isinstance(value, str | Path) or not str(value).strip():
        raise ConfigError(f"{shown(value)} is not text; write a path, relative to the description")
    if not is_printable(str(value)):
        raise ConfigError(f"{shown(value)} holds control characters; rename the file or folder")
    if info.context is None:
        return Path(value)
    try:
        path: Path = info.context / Path(value).expanduser()
        found = path.exists()
    except (OSError, RuntimeError) as error:  # a name too long; no such user
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{shown(value)} cannot be looked up ({reason}); correct the path") from None
    if not found:
        raise ConfigError(f"{path} does not exist; paths are relative to the description: correct it")
    return path


def _check_once(numbers: tuple[int, ...]) -> tuple[int, ...]:
    number, times = Counter(numbers).most_common(1)[0] if numbers else (0, 0)
    if times > 1:
        raise ConfigError(f"{number} occurs twice; name every number once")
    return numbers


Finding = Literal["constant_slices", "constant_detectors", "repeated_slices"]
FINDINGS: tuple[Finding, ...] = get_args(Finding)
"""What may be found in pixels and usually is a mistake."""
DetectorName = Annotated[str, AfterValidator(_check_detector_name)]
"""What a detector's name may be: it becomes part of variant names such as ``unet_ice+tld_3``."""
_Source = Annotated[Path, BeforeValidator(_find_source)]
_Numbers = Annotated[Items[int], AfterValidator(_check_once)]


class Voxel(Strict):
    """Size of a voxel, nm."""

    z: Nanometres
    """Distance of two slices."""
    y: Nanometres
    """Distance of two rows."""
    x: Nanometres
    """Distance of two columns."""


def _check_pattern(pattern: str) -> str:
    if pattern.count(PLACE) != 1 or f"*{PLACE}" in pattern:
        raise ConfigError(
            f"{shown(pattern)} does not say where the number stands; write it as {PLACE}, once and not after '*', as "
            "in slice_{}_run*"
        )
    return pattern


class SliceNumbers(Strict):
    """How file names number the slices."""

    pattern: Annotated[str, AfterValidator(_check_pattern)] | None = None
    """Where names hold the number: in `slice_{}_run*`, `{}` is the number and `*` any text. Found where not given."""
    gaps: Literal["refuse", "keep", "ignore"] = "refuse"
    """What numbers that are left out mean: an error, slices that are missing, or nothing."""


class AnnotationDescription(Strict):
    """Where annotations come from, what their values mean and which slices train and test."""

    source: _Source
    """A folder of label images named by slice, or one file with all of them."""
    mapping: Annotated[dict[int, Text], Field(min_length=1)]
    """Value in the source: name of a phase. 0 may be a real class."""
    unlabelled: _Numbers = ()
    """Values in the source that mean unlabelled."""
    rest_unlabelled: bool = False
    """Whether values named nowhere are unlabelled instead of an error."""
    slices: _Numbers | None = None
    """The z of every plane of a source that is one file; without it plane = z."""
    train: Items[int | str] = ()
    """Slices to train on, as z or as the file stem of a slice."""
    test: Items[int | str] = ()
    """Slices to test on, as z or as the file stem of a slice."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for value in self.unlabelled:
            if value in self.mapping:
                raise ConfigError(
                    f"value {value} is both phase {self.mapping[value]!r} in 'mapping' and in 'unlabelled'; a value "
                    "has one meaning: remove it from one of them"
                )
        if not self.train and not self.test:
            raise ConfigError("no slice is listed in 'train' or 'test'; list the annotated slices there")
        return self


class SampleDescription(Strict):
    """All that `ingest` needs to know about a sample."""

    name: Text
    """The sample's name."""
    voxel: Voxel = Field(alias="voxel_nm")
    """Size of a voxel, nm."""
    detectors: Annotated[dict[DetectorName, _Source], Field(min_length=1), AfterValidator(_check_different)]
    """Detector: a folder with one image a slice, or one file with all slices; in channel order."""
    numbers: SliceNumbers = SliceNumbers()
    """How file names number the slices."""
    phases: Annotated[Items[Phase], AfterValidator(check_phases)] = ()
    """The phases 1..K; none where nothing is annotated."""
    annotations: AnnotationDescription | None = None
    """Annotated slices."""
    accept: Items[Finding] = ()
    """What is right here and usually a mistake: slices or detectors of one grey value, the same picture twice."""

    @model_validator(mode="after")
    def _check_mapping(self) -> Self:
        names = [phase.name for phase in self.phases]
        for value, name in self.annotations.mapping.items() if self.annotations else ():
            if name not in names:
                raise ConfigError(
                    f"annotations::mapping: value {value} means {name!r}, which is no phase; the phases are "
                    f"{', '.join(names) or '(none)'}: correct the name or add the phase"
                )
        return self

    @property
    def voxel_nm(self) -> tuple[float, float, float]:
        """Size of a voxel z, y, x in nm."""
        return self.voxel.z, self.voxel.y, self.voxel.x

    @classmethod
    def from_yaml(cls, path: Path | str) -> Self:
        """Read a description; the paths in it are relative to the file.

        Raises:
            ConfigError: the file is missing, no YAML, or breaks a rule of the schema (docs/stack-store.md).
        """
        path = Path(path)
        return read_document(cls, path, path.parent)
