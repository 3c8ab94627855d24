"""Ingest: check a sample, then stream its images and annotations into a stack store."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import zarr

from monai_app import __version__, files
from monai_app.background.bounded_map import bounded_map
from monai_app.errors import ConfigError, StackError, TargetExistsError
from monai_app.progress import Progress, silent
from monai_app.stack.alignment.estimation import detectors_apart, estimate, steps_of
from monai_app.stack.alignment.report import describe
from monai_app.stack.alignment.request import Align
from monai_app.stack.discovery import read_description
from monai_app.stack.identity import identity_frame, plane_bytes
from monai_app.stack.ingestion.description import SampleDescription
from monai_app.stack.ingestion.inputs import Inputs
from monai_app.stack.ingestion.sample import Sample, check_sample
from monai_app.stack.ingestion.survey import Survey
from monai_app.stack.ingestion.voxel_size import slice_positions
from monai_app.stack.label_images.registry import LabelImage, create_labels
from monai_app.stack.metadata import GreyRecord, StoreMetadata
from monai_app.stack.ngff import layout
from monai_app.stack.ngff.own import FORMAT, find_own, write_own
from monai_app.stack.ngff.pyramid import halve_image, halve_labels, level_shapes, smallest_image
from monai_app.stack.places import check_outside_stores
from monai_app.stack.store import Stack

_SUFFIX = ".ome.zarr"

_WRITERS = 2
"""Slices of detectors that are written at a time, while the next one is read and hashed."""


class _Picture(NamedTuple):
    """A slice of a detector: its pixels (rows, columns) as they were read, and where they belong."""

    z: int
    channel: int
    raw: npt.NDArray[np.integer]
    plane: npt.NDArray[np.integer]


def ingest(
    description: Path | str | SampleDescription,
    target: Path | str,
    *,
    overwrite: bool = False,
    align: Align | None = None,
    progress: Progress = silent,
    report: Callable[[str], None] = lambda line: None,
) -> Stack:
    """Turn a described sample into a stack store.

    Everything but the images' pixels is checked before anything is written. The store is made under a hidden name
    beside ``target`` and gets its name when it is complete; memory does not grow with the number of slices.

    Args:
        description: a YAML description, what `SampleDescription.from_yaml` made of it, or the folder of a sample: its
            `sample.yaml` or, if there is none, what its files tell.
        target: the store to write, ``<name>.ome.zarr``.
        overwrite: replace an existing store; it stays until the new one is complete, its label images go with it.
        align: move slices or detectors upon each other; the images are read twice then.
        progress: called with the slices done and in total; slices are done twice where they are aligned.
        report: called with what was found, line by line.

    Returns:
        The new stack.

    Raises:
        ConfigError: the description or the target's name breaks a rule, or what is to be aligned cannot be.
        StackError: images that cannot be used.
        AnnotationError: annotations that do not fit.
        BusyError: another process ingests to the target.
        TargetExistsError: the target exists, and ``overwrite`` is false or it is not a stack store.
    """
    target = Path(target).resolve()
    _check_target(target, overwrite)
    if not isinstance(description, SampleDescription):
        description = read_description(Path(description), report)
    sample = check_sample(description, report)
    if align is not None:
        align.check(tuple(sample.detectors), sample.slices, sample.plane_shape, sample.gaps)
    sample.describe(report)
    _make_parent(target)
    busy = f"another process is ingesting to {target}; wait for it or choose another target"
    with files.transaction(target, busy, lambda: _check_target(target, overwrite)) as partial:
        _write(*_aligned(sample, align, progress, report), partial, report)
        layout.validate(partial)
    return Stack.open(target)


def _check_target(target: Path, overwrite: bool) -> None:
    if not target.name.endswith(_SUFFIX) or target.name == _SUFFIX:
        raise ConfigError(f"target {target} does not end in {_SUFFIX}; name it, for example, {target.stem}{_SUFFIX}")
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
            f"{target} exists and is not a stack store of this version, so it is not replaced; remove it yourself if "
            "it is not needed, or choose another target"
        )


def _make_parent(target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"folder {target.parent} cannot be created ({error.strerror}); choose another target"
        ) from None


def _aligned(
    sample: Sample, align: Align | None, progress: Progress, report: Callable[[str], None]
) -> tuple[Sample, Progress]:
    """The sample with what is known of how it lies, and the progress of what is left to do."""
    if align is None or not align.moves_detectors:
        for line in detectors_apart(sample.detectors):
            report(line)
    if align is None:
        return sample, progress
    steps = steps_of(align, sample.slices)
    alignment = estimate(sample.detectors, align, lambda done, _: progress(done, steps + sample.slices), sample.gaps)
    for line in describe(alignment, sample.plane_shape):
        report(line)
    return replace(sample, alignment=alignment), lambda done, total: progress(steps + done, steps + total)


def _write(sample: Sample, progress: Progress, partial: Path, report: Callable[[str], None]) -> None:
    root = layout.create_group(partial, {})
    frame = (tuple(sample.detectors), (sample.slices, *sample.plane_shape), sample.dtype.name)
    meaning = (sample.annotations.slices, sample.description.phases, sample.gaps)
    digest = hashlib.sha256(identity_frame(*frame, *meaning))
    survey, inputs = Survey(sample.detectors), Inputs(sample.sources)
    windows = _write_images(sample, root, digest, progress, survey, inputs)
    survey.check(sample.description.accept, report)
    _write_annotations(sample, partial, digest)
    levels, top = len(level_shapes(*sample.plane_shape)), int(np.iinfo(sample.dtype).max)
    name, voxel_nm = sample.description.name, sample.voxel_nm
    ome = layout.image_metadata(name, tuple(sample.detectors), voxel_nm, levels, windows, top)
    metadata = _metadata(sample, digest.hexdigest(), inputs.hashes())
    write_own(partial, metadata.content(), ome=ome)
    if sample.annotations.slices:
        write_own(partial / layout.LABELS / layout.ANNOTATION, metadata.record.to_json())


def _write_images(
    sample: Sample, root: zarr.Group, digest: "hashlib._Hash", progress: Progress, survey: Survey, inputs: Inputs
) -> list[tuple[int, int]]:
    """Write all slices to all levels; returns the range of grey values of every detector's smallest level."""
    names = list(sample.detectors)
    levels = layout.create_levels(root, (len(names), sample.slices), sample.plane_shape, sample.dtype)
    ranges = [(int(np.iinfo(sample.dtype).max), 0) for _ in names]

    def write(picture: _Picture) -> npt.NDArray[np.integer]:
        return layout.write_slice(levels, (picture.channel, picture.z), picture.plane, halve_image)

    progress(0, sample.slices)
    with ThreadPoolExecutor(_WRITERS, "write") as writers:
        for picture, smallest in bounded_map(writers, write, _pictures(sample, digest, inputs), _WRITERS):
            z, channel, raw = picture.z, picture.channel, picture.raw
            survey.see(names[channel], z, raw, smallest if picture.plane is raw else smallest_image(raw))
            low, high = ranges[channel]
            ranges[channel] = (min(low, int(smallest.min())), max(high, int(smallest.max())))
            if channel == len(names) - 1:
                progress(z + 1, sample.slices)
    return [(low, max(high, low + 1)) for low, high in ranges]


def _pictures(sample: Sample, digest: "hashlib._Hash", inputs: Inputs) -> Iterator[_Picture]:
    """Read all slices of all detectors, and hash pixels and files."""
    readers = [source.planes() for source in sample.detectors.values()]
    for z in range(sample.slices):
        for channel, (name, reader) in enumerate(zip(sample.detectors, readers, strict=True)):
            raw = next(reader)
            plane = sample.placed(name, z, raw)
            digest.update(plane_bytes(plane))
            inputs.take(sample.detectors[name], z)
            yield _Picture(z, channel, raw, plane)


def _write_annotations(sample: Sample, partial: Path, digest: "hashlib._Hash") -> None:
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
        labels = sample.annotation(z)
        digest.update(plane_bytes(labels))
        layout.write_slice(arrays, (z,), labels, halve_labels)


def _metadata(sample: Sample, identity: str, inputs: Mapping[str, str]) -> StoreMetadata:
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
        alignment=sample.alignment,
        inputs=dict(inputs),
        identity=identity,
        ingested=identity,
    )
