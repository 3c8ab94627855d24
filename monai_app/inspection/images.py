"""The images to inspect: a store, a described sample, or image files without a description."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from monai_app.domain.phase import Phase
from monai_app.errors import StackError
from monai_app.inspection.measuring.slices import Plane
from monai_app.io.opening import open_planes
from monai_app.io.registry import find_format, suffixes
from monai_app.names import is_printable
from monai_app.stack import Role, SampleDescription, Stack
from monai_app.stack.discovery.read import DESCRIPTION
from monai_app.stack.ingestion.agreement import check_agreement
from monai_app.stack.ingestion.sample import check_sample
from monai_app.stack.ingestion.slice_index import SliceIndex
from monai_app.stack.ingestion.survey import Slices
from monai_app.stack.ngff.own import find_own
from monai_app.stack.ngff.pyramid import level_shapes

_OVERVIEW = 256
"""Longest side of the overview of a slice, pixels."""


class DetectorSlices(Slices, Protocol):
    """The slices of one detector, which can be read in order too."""

    def planes(self) -> Iterator[Plane]:
        """Read all slices in order, each once: (rows, columns)."""


class StoredSlices:
    """The slices of one detector of a store.

    Args:
        stack: the store.
        detector: the detector's name.
        overview: read the smallest level of the pyramid, thinned to `_OVERVIEW`.
    """

    def __init__(self, stack: Stack, detector: str, *, overview: bool = False) -> None:
        self._stack, self._detector, self._overview = stack, detector, overview
        self.names = stack.slice_names

    def __len__(self) -> int:
        return len(self.names)

    def plane(self, index: int) -> Plane:
        """Read one slice: (rows, columns)."""
        if self._overview:
            plane = self._stack.read_overview(index, [self._detector])[0]
            step = _thinning(plane.shape)
            thinned: Plane = np.ascontiguousarray(plane[::step, ::step])
            return thinned
        whole: Plane = self._stack.read_slab(index, [self._detector], 1)[0]
        return whole

    def planes(self) -> Iterator[Plane]:
        """Read all slices in order."""
        return map(self.plane, range(len(self)))


def _thinning(shape: tuple[int, ...]) -> int:
    """Every which pixel of a slice of a shape (rows, columns) its overview has."""
    return -(-max(shape) // _OVERVIEW)


@dataclass(frozen=True)
class Images:
    """The images of a stack, and its annotations.

    Args:
        path: where they are.
        detectors: detector name -> its slices, which agree in number, names and shape.
        missing: the numbers of slices that are missing without a word about it in the description; empty otherwise.
        gaps: slices before which others are missing.
        voxel_nm: voxel size z, y, x in nm, if it is known.
        phases: the phases 1..K.
        roles: z -> what the annotated slice is for.
        labels: reads an annotation: (rows, columns) uint8, 0 unlabelled, 1..K.
        pixel: pixels of the stack that one of these images stands for, along a side.
        check_unchanged: called after the last of it was read; raises if it was replaced meanwhile.
    """

    path: Path
    detectors: Mapping[str, DetectorSlices]
    missing: str = ""
    gaps: tuple[int, ...] = ()
    voxel_nm: tuple[float, float, float] | None = None
    phases: Sequence[Phase] = ()
    roles: Mapping[int, Role] = field(default_factory=dict)
    labels: Callable[[int], npt.NDArray[np.uint8]] = field(default=lambda z: np.zeros((0, 0), np.uint8))
    pixel: int = 1
    check_unchanged: Callable[[], None] = field(default=lambda: None)

    @property
    def names(self) -> Sequence[str]:
        """The names of the slices."""
        return next(iter(self.detectors.values())).names

    def planes(self) -> Iterator[dict[str, Plane]]:
        """Read all slices in order, each once: detector name -> (rows, columns).

        Raises:
            StackError: a slice cannot be read.
        """
        readers = {name: slices.planes() for name, slices in self.detectors.items()}
        for _ in self.names:
            yield {name: next(reader) for name, reader in readers.items()}


def open_images(path: Path) -> Images:
    """Open the images to inspect.

    Args:
        path: a store; a description, or a folder with a `DESCRIPTION`; a folder with one image a slice, or with such a
            folder for every detector; or one file with all slices.

    Raises:
        ConfigError: the description is invalid.
        StackError: there are no images, or they do not belong together.
        AnnotationError: annotations that do not fit.
    """
    path = path.absolute()
    if _is_store(path):
        return stored(Stack.open(path))
    if path.suffix.lower() in (".yaml", ".yml"):
        return _described(path)
    if (path / DESCRIPTION).is_file():
        return _described(path / DESCRIPTION)
    if not path.exists():
        raise StackError(f"{path} does not exist; give a store, a description (sample.yaml) or a folder of images")
    return _undescribed(path)


def _is_store(path: Path) -> bool:
    """Whether a folder is a store of this package, which may be damaged; OME-Zarr of other programs holds images."""
    try:
        return find_own(path, "") is not None
    except OSError:
        return False
    except StackError:
        return True


def stored(stack: Stack, *, overview: bool = False) -> Images:
    """The images of a store; with ``overview`` those of the smallest level, and no annotations."""
    detectors = {name: StoredSlices(stack, name, overview=overview) for name in stack.detectors}
    if overview:
        levels = level_shapes(*stack.shape[1:])
        return Images(stack.path, detectors, gaps=stack.gaps, pixel=2 ** (len(levels) - 1) * _thinning(levels[-1]))
    return Images(
        stack.path,
        detectors,
        gaps=stack.gaps,
        voxel_nm=stack.voxel_nm,
        phases=stack.phases,
        roles=stack.roles,
        labels=stack.read_annotation,
        check_unchanged=stack.check_unchanged,
    )


def _described(path: Path) -> Images:
    description = SampleDescription.from_yaml(path)
    asked = description.numbers.gaps == "refuse" and not description.independent
    if asked:  # a gap is reported, and does not stop the inspection
        numbers = description.numbers.replaced(gaps="keep")
        description = description.model_copy(update={"numbers": numbers})
    sample = check_sample(description)
    annotations = sample.annotations
    return Images(
        path,
        sample.detectors,
        missing=sample.index.missing([z for z in sample.index.gaps if z not in description.breaks]) if asked else "",
        gaps=sample.gaps,
        voxel_nm=sample.voxel_nm,
        phases=description.phases,
        roles={**dict.fromkeys(annotations.train, "train"), **dict.fromkeys(annotations.test, "test")},
        labels=annotations.read,
    )


def _undescribed(path: Path) -> Images:
    detectors = {name: open_planes(source).numbered() for name, source in _find_detectors(path).items()}
    for name in (*detectors, *(stem for source in detectors.values() for stem in source.names)):
        if not is_printable(name):
            raise StackError(f"the name {name!r} contains control characters; rename the file or folder")
    check_agreement(detectors)
    index = SliceIndex(detectors, None)
    return Images(path, detectors, missing=index.missing(), gaps=index.gaps)


def _find_detectors(path: Path) -> dict[str, Path]:
    """Return the sources of images without a description: the path itself, or the folders of images in it."""
    if not path.is_dir() or any(map(find_format, path.iterdir())):
        return {path.name.split(".")[0]: path}
    folders = [entry for entry in sorted(path.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
    holding = {folder.name: folder for folder in folders if any(map(find_format, folder.iterdir()))}
    if not holding:
        raise StackError(
            f"{path} is not a store, has no {DESCRIPTION} and holds no images ({suffixes()}); give a store, a "
            "description, or a folder of images, or one with a folder per detector"
        )
    return holding
