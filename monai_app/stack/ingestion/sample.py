"""A sample whose files have been checked, ready for `ingest`."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from monai_app.domain.region import Rect
from monai_app.errors import AnnotationError, Faults, StackError
from monai_app.io.base import Plane
from monai_app.io.opening import open_planes
from monai_app.io.sources import Source
from monai_app.names import is_printable
from monai_app.progress import counted
from monai_app.stack.alignment.record import Alignment
from monai_app.stack.ingestion.agreement import check_agreement, check_places
from monai_app.stack.ingestion.annotations import Annotations, Labels, find_annotations, open_labels
from monai_app.stack.ingestion.description import SampleDescription, Voxel
from monai_app.stack.ingestion.slice_index import SliceIndex
from monai_app.stack.ingestion.source_description import DetectorDescription
from monai_app.stack.ingestion.voxel_size import find_voxel_size
from monai_app.stack.metadata import check_slice_name

Report = Callable[[str], None]


@dataclass(frozen=True)
class Sample:
    """A checked sample.

    Args:
        description: what it was described as.
        detectors: the images, detector name -> source.
        voxel: size of a voxel.
        index: the slices.
        gaps: the slices before which others are missing, or another series ends.
        annotations: the annotated slices.
        alignment: how its pixels are moved; None for no alignment.
    """

    description: SampleDescription
    detectors: Mapping[str, Source]
    voxel: Voxel
    index: SliceIndex
    gaps: tuple[int, ...]
    annotations: Annotations
    alignment: Alignment | None = None

    @property
    def sources(self) -> list[Source]:
        """All that is read: images and labels."""
        labels = self.annotations.source
        return [*self.detectors.values(), *([] if labels is None else [labels])]

    @property
    def slices(self) -> int:
        """Number of slices."""
        return len(self.index)

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
        """Data type of the grey values."""
        return next(iter(self.detectors.values())).dtype

    def placed(self, detector: str, z: int, plane: Plane) -> Plane:
        """The pixels of a slice where they belong: (rows, columns)."""
        return plane if self.alignment is None else self.alignment.placement(z, detector, plane.shape).pixels(plane)

    def annotation(self, z: int) -> Labels:
        """The labels of a slice where they belong: (rows, columns).

        Raises:
            AnnotationError: they lie outside the pictures now.
        """
        labels = self.annotations.read(z)
        if self.alignment is None:
            return labels
        labels = self.alignment.placement(z, self.alignment.reference, labels.shape).labels(labels)
        labels *= self.alignment.inside(z, labels.shape, Rect.whole(labels.shape))
        if not labels.any():
            raise AnnotationError(
                f"the annotation of slice {z} is outside the images after alignment; remove it from the list, or "
                "leave out --align"
            )
        return labels

    def describe(self, report: Report) -> None:
        """Describe the sample: the origin of slice numbers, and what is left out."""
        first, last, missing = self.index.numbers[0], self.index.numbers[-1], self.index.missing()
        for name, source in self.detectors.items():
            origin = source.pattern or ("in the order of the names" if source.is_folder else "as they are counted")
            report(f"{name}: slices {first} to {last} ({origin}){f' without {missing}' if missing else ''}")
            if source.bar:
                report(f"{name}: the microscope's data bar, {counted(source.bar, 'row')} below the image, is removed")


def check_sample(description: SampleDescription, report: Report = lambda line: None) -> Sample:
    """Open all files of a sample and check headers and annotations; no pixel of an image is decoded.

    Args:
        description: the sample.
        report: called with what was found, line by line.

    Raises:
        StackError: images that cannot be used, or do not belong together; with them every other fault that does not
            depend on them, so that all can be corrected at once.
        AnnotationError: annotations that do not fit.
    """
    faults, opened = Faults(), dict[str, Source]()
    for name, entry in description.detectors.items():
        with faults.noted():
            opened[name] = _open(entry, description)
    labels = None
    with faults.noted():
        labels = open_labels(description)
    detectors: Mapping[str, Source] = opened
    if len(opened) == len(description.detectors):
        detectors = _numbered(opened, description, faults)
    if len(detectors) == len(description.detectors):
        with faults.noted():
            check_agreement(detectors)
    if faults:
        _note_voxel_size(detectors, description, faults)
        faults.check()
    return _checked(description, detectors, labels, report)


def _note_voxel_size(detectors: Mapping[str, Source], description: SampleDescription, faults: Faults) -> None:
    """Say what is wrong with the voxel size too, where something else is wrong already."""
    if len(detectors) == len(description.detectors):
        with faults.noted():
            find_voxel_size(detectors, description.voxel, description.accept)


def _checked(
    description: SampleDescription, detectors: Mapping[str, Source], labels: Source | None, report: Report
) -> Sample:
    """Check what belongs together, of detectors that agree."""
    faults, pattern = Faults(), description.numbers.pattern
    voxel, annotations = Voxel(z=1.0, y=1.0, x=1.0), Annotations()
    gaps: tuple[int, ...] = ()
    numbered = any(source.numbers for source in detectors.values())
    index = SliceIndex(detectors, pattern, by_name=description.independent and not numbered)
    with faults.noted():
        check_places(detectors)
        voxel = find_voxel_size(detectors, description.voxel, description.accept, report)
    for name in index.names:
        with faults.noted():
            check_slice_name(name)
    with faults.noted():
        gaps = _gaps(description, index)  # where slices are missing, others have another z than meant
        first = next(iter(detectors.values()))
        annotations = find_annotations(description, labels, index, first.shape, first.bar)
        _check_labels(annotations)
    faults.check()
    return Sample(description, detectors, voxel, index, gaps, annotations)


def _check_labels(annotations: Annotations) -> None:
    """Check the values of all annotated slices."""
    faults = Faults()
    for z in annotations.slices:
        with faults.noted():
            if not annotations.read(z).any():
                raise AnnotationError(
                    f"the annotation of slice {z} has no labelled pixel; label some or remove it from the list"
                )
    faults.check()


def _open(entry: DetectorDescription, description: SampleDescription) -> Source:
    grey = entry.grey or description.grey
    source = open_planes(entry.source, entry.request(grey=grey))
    for stem in source.names:
        if not is_printable(stem):
            raise StackError(f"{source.path}: the file name {stem!r} contains control characters; rename the file")
    return source if grey is None else replace(source, grey=grey.mapping(source.dtype))


def _numbered(detectors: Mapping[str, Source], description: SampleDescription, faults: Faults) -> Mapping[str, Source]:
    """The detectors in the order of the numbers in their names.

    Micrographs that are not neighbours need none: where not all have one, they are taken in the order of their names.
    """
    pattern, numbered = description.numbers.pattern, dict[str, Source]()
    if description.independent and pattern is None:
        with suppress(StackError):
            numbered = {name: source.numbered() for name, source in detectors.items()}
        return numbered or detectors
    for name, source in detectors.items():
        with faults.noted():
            numbered[name] = source.numbered(pattern)
    return numbered


def _gaps(description: SampleDescription, index: SliceIndex) -> tuple[int, ...]:
    """The slices before which slabs end.

    Raises:
        StackError: numbers are left out and the description does not say why.
        AnnotationError: a break at a slice that does not exist.
    """
    if description.independent:
        return tuple(range(1, len(index)))
    breaks = [index.check(z, "breaks") for z in description.breaks]
    missing = [z for z in index.gaps if z not in breaks]
    if missing and description.numbers.gaps == "refuse":
        raise StackError(
            f"slices {index.missing(missing)} are missing of {index.numbers[0]} to {index.numbers[-1]}; add them, or "
            "state the meaning in the description: 'numbers: {gaps: keep}' if they are missing in the sample (no "
            "slab extends across), 'numbers: {gaps: ignore}' if only the numbers are missing"
        )
    kept = missing if description.numbers.gaps == "keep" else []
    return tuple(sorted({*breaks, *kept}))
