"""Ingest: check a sample, then stream its images and annotations into a stack store."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import zarr

from monai_app import __version__, files
from monai_app.errors import AnnotationError, ConfigError, StackError, TargetExistsError
from monai_app.io.opening import open_planes
from monai_app.io.sources import Source
from monai_app.names import is_printable
from monai_app.progress import Progress, silent
from monai_app.stack.identity import identity_frame, plane_bytes
from monai_app.stack.ingestion.agreement import check_agreement, check_places
from monai_app.stack.ingestion.annotations import Annotations, find_annotations
from monai_app.stack.ingestion.description import SampleDescription, Voxel
from monai_app.stack.ingestion.slice_index import SliceIndex
from monai_app.stack.ingestion.source_description import DetectorDescription
from monai_app.stack.ingestion.survey import Survey
from monai_app.stack.ingestion.voxel_size import find_voxel_size, slice_positions
from monai_app.stack.label_images.registry import LabelImage, create_labels
from monai_app.stack.metadata import GreyRecord, StoreMetadata, check_slice_name
from monai_app.stack.ngff import layout
from monai_app.stack.ngff.own import FORMAT, find_own, write_own
from monai_app.stack.ngff.pyramid import halve_image, halve_labels, level_shapes
from monai_app.stack.places import check_outside_stores
from monai_app.stack.store import Stack

_SUFFIX = ".ome.zarr"


@dataclass(frozen=True)
class _Sample:
    """A checked sample: what will be written."""

    description: SampleDescription
    detectors: Mapping[str, Source]
    voxel: Voxel
    index: SliceIndex
    annotations: Annotations

    @property
    def slices(self) -> int:
        return len(self.index)

    @property
    def gaps(self) -> tuple[int, ...]:
        """The slices before which others are missing."""
        return self.index.gaps if self.description.numbers.gaps == "keep" else ()

    @property
    def plane_shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return next(iter(self.detectors.values())).shape

    @property
    def voxel_nm(self) -> tuple[float, float, float]:
        """z, y, x."""
        return self.voxel.z, self.voxel.y, self.voxel.x

    @property
    def dtype(self) -> np.dtype[np.integer]:
        return next(iter(self.detectors.values())).dtype


def ingest(
    description: Path | str | SampleDescription,
    target: Path | str,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
    report: Callable[[str], None] = lambda line: None,
) -> Stack:
    """Turn a described sample into a stack store.

    Everything but the images' pixels is checked before anything is written. The store is made under a hidden name
    beside ``target`` and gets its name when it is complete; memory does not grow with the number of slices.

    Args:
        description: a YAML description or what `SampleDescription.from_yaml` made of it.
        target: the store to write, ``<name>.ome.zarr``.
        overwrite: replace an existing store; it stays until the new one is complete, its label images go with it.
        progress: called with the slices done and in total.
        report: called with what was found, line by line.

    Returns:
        The new stack.

    Raises:
        ConfigError: the description or the target's name breaks a rule.
        StackError: images that cannot be used.
        AnnotationError: annotations that do not fit.
        BusyError: another process ingests to the target.
        TargetExistsError: the target exists, and ``overwrite`` is false or it is no stack store.
    """
    if not isinstance(description, SampleDescription):
        description = SampleDescription.from_yaml(description)
    target = Path(target).resolve()
    _check_target(target, overwrite)
    sample = _check(description, report)
    _report(sample, report)
    _make_parent(target)
    busy = f"another process is ingesting to {target}; wait for it or choose another target"
    with files.transaction(target, busy, lambda: _check_target(target, overwrite)) as partial:
        _write(sample, partial, progress, report)
        layout.validate(partial)
    return Stack.open(target)


def _check_target(target: Path, overwrite: bool) -> None:
    if not target.name.endswith(_SUFFIX) or target.name == _SUFFIX:
        raise ConfigError(f"target {target} does not end in {_SUFFIX}; call it, for instance, {target.stem}{_SUFFIX}")
    check_outside_stores(target)
    if not target.exists():
        return
    if not overwrite:
        files.clear_unused(target)
        raise TargetExistsError(f"{target} exists already; choose another target or replace it with --overwrite")
    try:
        is_store = "slice_names" in (find_own(target, "") or {})
    except (OSError, StackError):
        is_store = False
    if not is_store:
        raise TargetExistsError(
            f"{target} exists and is no stack store of this version, so it is not replaced; remove it yourself if it "
            "is not needed, or choose another target"
        )


def _check(description: SampleDescription, report: Callable[[str], None]) -> _Sample:
    pattern = description.numbers.pattern
    detectors = {name: _open(entry, description).numbered(pattern) for name, entry in description.detectors.items()}
    for name, source in detectors.items():
        for stem in source.names:
            if not is_printable(stem):
                raise StackError(f"{name}: the file name {stem!r} holds control characters; rename the file")
    check_agreement(detectors)
    check_places(detectors)
    voxel = find_voxel_size(detectors, description.voxel, description.accept, report)
    index = SliceIndex(detectors, pattern)
    if index.gaps and description.numbers.gaps == "refuse":
        raise StackError(
            f"slices {index.missing()} are missing of {index.numbers[0]} to {index.numbers[-1]}; add them, or say in "
            "the description what it means: 'numbers: {gaps: keep}' if they are missing in the sample (no slab reaches "
            "across), 'numbers: {gaps: ignore}' if the numbers alone are"
        )
    for name in index.names:
        check_slice_name(name)
    first = next(iter(detectors.values()))
    annotations = find_annotations(description, index, first.shape, first.bar)
    for z in annotations.slices:
        if not annotations.read(z).any():
            raise AnnotationError(f"the annotation of slice {z} labels no pixel; label some or take it off the list")
    return _Sample(description, detectors, voxel, index, annotations)


def _open(entry: DetectorDescription, description: SampleDescription) -> Source:
    grey = entry.grey or description.grey
    source = open_planes(entry.source, entry.request(grey=grey))
    return source if grey is None else replace(source, grey=grey.mapping(source.dtype))


def _report(sample: _Sample, report: Callable[[str], None]) -> None:
    """Say what was found: where every detector's slice numbers come from, and what is left out."""
    first, last, missing = sample.index.numbers[0], sample.index.numbers[-1], sample.index.missing()
    for name, source in sample.detectors.items():
        origin = source.pattern or ("in the order of the names" if source.is_folder else "as they are counted")
        report(f"{name}: slices {first} to {last} ({origin}){f' without {missing}' if missing else ''}")
        if source.bar:
            report(f"{name}: the microscope's data bar, {source.bar} rows below the picture, is left out")


def _make_parent(target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"folder {target.parent} cannot be made ({error.strerror}); choose another target") from None


def _write(sample: _Sample, partial: Path, progress: Progress, report: Callable[[str], None]) -> None:
    root = layout.create_group(partial, {})
    frame = (tuple(sample.detectors), (sample.slices, *sample.plane_shape), sample.dtype.name)
    meaning = (sample.annotations.slices, sample.description.phases, sample.gaps)
    digest = hashlib.sha256(identity_frame(*frame, *meaning))
    survey = Survey(sample.detectors)
    windows = _write_images(sample, root, digest, progress, survey)
    survey.check(sample.description.accept, report)
    _write_annotations(sample, partial, digest)
    levels, top = len(level_shapes(*sample.plane_shape)), int(np.iinfo(sample.dtype).max)
    name, voxel_nm = sample.description.name, sample.voxel_nm
    ome = layout.image_metadata(name, tuple(sample.detectors), voxel_nm, levels, windows, top)
    metadata = _metadata(sample, digest.hexdigest())
    write_own(partial, metadata.content(), ome=ome)
    if sample.annotations.slices:
        write_own(partial / layout.LABELS / layout.ANNOTATION, metadata.record.to_json())


def _write_images(
    sample: _Sample, root: zarr.Group, digest: "hashlib._Hash", progress: Progress, survey: Survey
) -> list[tuple[int, int]]:
    """Write all slices to all levels; returns the range of grey values of every detector's smallest level."""
    levels = layout.create_levels(root, (len(sample.detectors), sample.slices), sample.plane_shape, sample.dtype)
    ranges = [(int(np.iinfo(sample.dtype).max), 0) for _ in sample.detectors]
    progress(0, sample.slices)
    readers = [source.planes() for source in sample.detectors.values()]
    for z in range(sample.slices):
        for channel, (name, reader) in enumerate(zip(sample.detectors, readers, strict=True)):
            plane = next(reader)
            digest.update(plane_bytes(plane))
            smallest = layout.write_slice(levels, (channel, z), plane, halve_image)
            survey.see(name, z, plane, smallest)
            low, high = ranges[channel]
            ranges[channel] = (min(low, int(smallest.min())), max(high, int(smallest.max())))
        progress(z + 1, sample.slices)
    return [(low, max(high, low + 1)) for low, high in ranges]


def _write_annotations(sample: _Sample, partial: Path, digest: "hashlib._Hash") -> None:
    folder = partial / layout.LABELS
    layout.create_group(
        folder, {"ome": layout.labels_metadata([layout.ANNOTATION] if sample.annotations.slices else [])}
    )
    if not sample.annotations.slices:
        return
    shape, description = (sample.slices, *sample.plane_shape), sample.description
    image = LabelImage(partial, layout.ANNOTATION, shape, sample.voxel_nm, description.phases, {})
    arrays = create_labels(image, image.target)
    for z in sample.annotations.slices:
        labels = sample.annotations.read(z)
        digest.update(plane_bytes(labels))
        layout.write_slice(arrays, (z,), labels, halve_labels)


def _metadata(sample: _Sample, identity: str) -> StoreMetadata:
    description = sample.description
    return StoreMetadata(
        format=FORMAT,
        software=f"monai-app {__version__}",
        name=description.name,
        detectors=tuple(sample.detectors),
        shape=(sample.slices, *sample.plane_shape),
        dtype="uint8" if sample.dtype == np.uint8 else "uint16",
        voxel_nm=sample.voxel,
        phases=description.phases,
        train=sample.annotations.train,
        test=sample.annotations.test,
        slice_names=sample.index.names,
        slice_numbers=tuple(int(number) if number % 1 == 0 else float(number) for number in sample.index.numbers),
        gaps=sample.gaps,
        grey={name: GreyRecord(**asdict(source.grey)) for name, source in sample.detectors.items() if source.grey},
        positions_nm=next(filter(None, map(slice_positions, sample.detectors.values())), None),
        identity=identity,
        ingested=identity,
    )
