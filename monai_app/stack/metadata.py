"""The metadata of a store, declared once: written by ingest and checked by every reader."""

import json
import re
import time
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from monai_app.domain.phase import Phase, check_phases
from monai_app.domain.validation import Items, Strict, Text, validated
from monai_app.errors import ConfigError, StackError
from monai_app.files import is_not
from monai_app.stack.alignment.record import Alignment
from monai_app.stack.annotations.history import EDITS, Edit, Record, Role
from monai_app.stack.ingestion.description import DetectorName, Voxel
from monai_app.stack.ngff.layout import ANNOTATION, LABELS, Level, has_checksums, open_level
from monai_app.stack.ngff.own import OWN, read_own
from monai_app.stack.ngff.pyramid import level_shapes

_TRIES = 5
"""How often annotations are looked for that may be changing their folder's name in this very moment."""

_PAUSE = 0.002
"""Seconds between two looks."""

REMEDY = "restore it from a copy, or ingest the sample again"

_Slice = Annotated[int, Field(ge=0)]
_Slices = Items[_Slice]
_Identity = Annotated[str, Field(pattern="^[0-9a-f]{64}$", json_schema_extra={"rule": "a SHA-256"})]


def check_slice_name(name: str) -> str:
    """Return the name of a slice, after checking that it can be that of a file.

    Raises:
        ConfigError: it holds more than a name.
    """
    if name in ("", ".", "..") or re.search(r"[/\\\x00-\x1f\x7f-\x9f]", name):
        raise ConfigError(f"{name!r} is not a file name without folder and suffix; {REMEDY}")
    return name


class GreyRecord(Strict):
    """How values of the files became grey values: `low` became 0 and `high` the highest value of the type."""

    low: float
    high: float
    to: Literal["uint8", "uint16"]
    inverted: bool = False


class StoreMetadata(Strict):
    """The metadata of a store, including changes by later annotations."""

    model_config = ConfigDict(extra="ignore")  # entries of versions to come

    format: int
    software: str = ""
    """What wrote it."""
    name: str
    """The sample's name."""
    detectors: Annotated[Items[DetectorName], Field(min_length=1)]
    """Their names in channel order."""
    shape: tuple[_Slice, _Slice, _Slice] | None = Field(default=None, strict=False)
    """Slices, rows and columns; stores of format 1 do not say it."""
    dtype: Literal["uint8", "uint16"] | None = None
    """Data type of the pixels; likewise."""
    voxel: Voxel = Field(alias="voxel_nm")
    """Size of a voxel, nm."""
    phases: Annotated[Items[Phase], AfterValidator(check_phases)]
    """The phases 1..K."""
    train: _Slices
    """Slices to train on."""
    test: _Slices
    """Slices to test on."""
    slice_names: Items[Annotated[Text, AfterValidator(check_slice_name)]]
    """The file stem of every slice."""
    slice_numbers: Items[int | float] | None = None
    """The number of every slice in the names."""
    gaps: _Slices = ()
    """Slices before which others are missing."""
    grey: dict[DetectorName, GreyRecord] = Field(default_factory=dict)
    """How values of the files became grey values, of the detectors of which they were mapped."""
    positions_nm: Items[float] | None = None
    """Where the stage was at every slice, from the first one, where that tells the slices apart."""
    alignment: Alignment | None = None
    """How pixels were moved at the ingestion; null where they are as the files have them."""
    inputs: dict[Text, _Identity] = Field(default_factory=dict)
    """File that it was made of, or folder of many -> SHA-256; empty if it was not recorded."""
    identity: _Identity
    """SHA-256 over pixels, annotations and phases."""
    ingested: _Identity
    """The identity at the ingestion, which later annotations do not change."""
    edits: Annotated[dict[_Slice, Edit], BeforeValidator(EDITS.validate_python)] = Field(default_factory=dict)
    """How the annotation of a slice differs from the ingested one."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        slices = len(self.slice_names)
        if len({name.casefold() for name in self.detectors}) < len(self.detectors):
            raise ConfigError(f"detectors {', '.join(self.detectors)}: two have the same name; {REMEDY}")
        for what, listed in {"train": self.train, "test": self.test, "gaps": self.gaps, "edits": [*self.edits]}.items():
            beyond = [z for z in listed if z >= slices]
            if beyond or len(set(listed)) < len(listed):
                wrong = f"slice {beyond[0]} does not exist" if beyond else "a slice occurs twice"
                raise ConfigError(f"{what} {list(listed)}: {wrong}, there are slices 0 to {slices - 1}; {REMEDY}")
        if set(self.train) & set(self.test):
            raise ConfigError(f"slice {min(set(self.train) & set(self.test))} is both in train and in test; {REMEDY}")
        if self.slice_numbers is not None and len(self.slice_numbers) != slices:
            raise ConfigError(f"{len(self.slice_numbers)} numbers of {slices} slices; {REMEDY}")
        if self.shape is not None and self.shape[0] != slices:
            raise ConfigError(f"{slices} slices have names and the shape has {self.shape[0]}; {REMEDY}")
        if self.alignment is not None and self.alignment.slices and len(self.alignment.slices) != slices:
            raise ConfigError(f"alignment of {len(self.alignment.slices)} slices of {slices}; {REMEDY}")
        if self.format > 1 and (self.shape is None or self.dtype is None):
            raise ConfigError(f"shape and dtype are missing; {REMEDY}")
        return self

    @property
    def voxel_nm(self) -> tuple[float, float, float]:
        """Size of a voxel z, y, x in nm."""
        return self.voxel.z, self.voxel.y, self.voxel.x

    @property
    def record(self) -> Record:
        """What was annotated after the ingestion."""
        roles: dict[int, Role] = {**dict.fromkeys(self.train, "train"), **dict.fromkeys(self.test, "test")}
        return Record(self.ingested, roles, self.edits)

    def content(self) -> dict[str, Any]:
        """What the store itself holds, as JSON."""
        return self.model_dump(mode="json", by_alias=True, exclude={"ingested", "edits"})


def read_metadata(path: Path) -> StoreMetadata:
    """Read what a store says of itself, with what later annotations changed.

    Raises:
        StackError: there is no store, or it was not written by this package, or by a newer version of it, or its
            metadata are damaged or were edited.
    """
    remedy = "give the .ome.zarr folder that 'ingest' wrote"
    try:
        own = read_own(path, REMEDY)
    except OSError:
        raise StackError(f"{is_not(path, 'a stack store (it has no readable zarr.json)')}; {remedy}") from None
    if own is None or "slice_names" not in own:
        raise StackError(f"{path} is not a stack store of this package (no metadata {OWN!r}); {remedy}")
    try:
        content = {**own, "ingested": own.get("identity"), **_read_edits(path, own)}
        metadata = validated(StoreMetadata, content, path / "zarr.json", REMEDY)
    except ConfigError as error:
        raise StackError(str(error)) from None
    _check_linked(path, metadata)
    return metadata


def _check_linked(path: Path, metadata: StoreMetadata) -> None:
    """Refuse a snapshot whose links lead to another image than it was made of."""
    source = (path / "0").resolve().parent if (path / "0").is_symlink() else path
    if source == path or not (source / "zarr.json").is_file():
        return
    if read_metadata(source).ingested != metadata.ingested:
        raise StackError(
            f"{path} is a snapshot of {source}, which was replaced since then (another stack was ingested in its "
            "place); create a new snapshot"
        )


def open_image(path: Path, metadata: StoreMetadata) -> tuple[Level, ...]:
    """Open the image's arrays of all levels: (detectors, slices, rows, columns).

    Raises:
        StackError: they do not match the metadata.
        OSError, KeyError, TypeError, ValueError: one is missing or damaged.
    """
    full = open_level(path / "0")
    lead = (len(metadata.detectors), len(metadata.slice_names))
    shapes = level_shapes(*(metadata.shape or full.shape)[-2:])
    levels = (full, *(open_level(path / str(number)) for number in range(1, len(shapes))))
    for number, (level, shape) in enumerate(zip(levels, shapes, strict=True)):
        kinds = ("uint8", "uint16") if metadata.dtype is None else (metadata.dtype,)
        checked = metadata.format == 1 or has_checksums(level)
        if level.shape != (*lead, *shape) or level.dtype.name not in kinds or not checked:
            raise StackError(
                f"{path / str(number)} is damaged: it is {level.dtype} of shape {level.shape}"
                f"{'' if checked else ' without checksums'} but the metadata of {path.name} say {' or '.join(kinds)} "
                "of shape "
                f"{(*lead, *shape)}; {REMEDY}"
            )
    return levels


def annotation_folder(path: Path) -> Path:
    """Where the annotations of a store are now, whether there are any or not.

    Where the file system cannot swap two names, there is a moment in which they have the old folder's name only, and a
    kill in it leaves them so until the next edit.
    """
    folder = path / LABELS / ANNOTATION
    old = folder.with_name(f".{ANNOTATION}.old")
    return old if old.is_dir() and not folder.is_dir() else folder


def _read_edits(path: Path, store: dict[str, Any]) -> dict[str, Any]:
    """What the annotations' own metadata say instead of the store's; nothing where they are as ingested."""
    for _ in range(_TRIES):
        folder = annotation_folder(path)
        try:
            own = read_own(folder, REMEDY)
            if own is None and store["format"] > 1:
                raise StackError(f"{folder / 'zarr.json'} is damaged: it has no metadata {OWN!r}; {REMEDY}")
            if own is None:
                return {}
            if own["ingested"] != store["identity"]:
                raise StackError(f"{folder} belongs to another ingestion; {REMEDY}")
            return {name: own[name] for name in ("identity", "train", "test", "edits")}
        except FileNotFoundError:
            if not annotation_folder(path).is_dir() and not _lists_annotations(path):
                return {}
        except (OSError, KeyError) as error:
            raise StackError(f"{folder} is damaged ({type(error).__name__}: {error}); {REMEDY}") from None
        time.sleep(_PAUSE)
    raise StackError(f"{folder} or its zarr.json is missing; {REMEDY}")


def _lists_annotations(path: Path) -> bool:
    try:
        listed = json.loads((path / LABELS / "zarr.json").read_text(encoding="utf-8"))["attributes"]["ome"]["labels"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return ANNOTATION in listed
