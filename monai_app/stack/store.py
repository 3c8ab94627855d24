"""Read access to an ingested stack."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.domain.phase import Phase
from monai_app.domain.region import Rect
from monai_app.errors import AnnotationError, StackError
from monai_app.names import listed
from monai_app.progress import counted
from monai_app.stack.annotations.history import Edit, Role
from monai_app.stack.html import html_picture, html_table, stretched
from monai_app.stack.label_images.arrays import LABELS, SLICES, Map
from monai_app.stack.label_images.registry import LabelImage, finished_labels
from monai_app.stack.label_images.resumable import Result, resumable_result
from monai_app.stack.metadata import REMEDY, StoreMetadata, annotation_folder, open_image, read_metadata
from monai_app.stack.ngff import layout
from monai_app.stack.ngff.own import read_own
from monai_app.stack.ngff.pyramid import level_shapes
from monai_app.stack.slabs import SlabSource


class Stack(SlabSource):
    """An ingested stack: detectors x slices x rows x columns, its annotations and its label images.

    Open one with `Stack.open`, create one with `ingest`. Pixels are read on demand. A stack can be pickled; it is
    reopened in the other process.

    Attributes:
        path: the store, ``<name>.ome.zarr``.
        name: the sample's name.
        detectors: the detector names in channel order.
        shape: (slices, rows, columns).
        dtype: uint8 or uint16.
        voxel_nm: voxel size z, y, x in nm.
        phases: the phases 1..K.
        train_slices: z of the annotated slices to train on.
        test_slices: z of the annotated slices to test on.
        roles: z -> what the annotated slice is for.
        slice_names: the file stem of every slice, for naming exported files.
        slice_numbers: the number of every slice in the names; 0, 1, ... where the names have none.
        gaps: slices before which others are missing: no slab reaches across.
        identity: SHA-256 over pixels, annotations and phases; another one means other data.
        ingested: the identity at the ingestion, which later annotations do not change: it stands for the image.
        alignment: how pixels were moved at the ingestion; None if they are as the files had them.
        edits: z -> how its annotation differs from the ingested one, and who changed it.

    Example:
        >>> stack = Stack.open("cement.ome.zarr")                          # doctest: +SKIP
        >>> stack.read_slab(0, ["ICE", "TLD"], 3).shape                     # doctest: +SKIP
        (6, 3868, 4062)
    """

    def __init__(self, path: Path, metadata: StoreMetadata, levels: Sequence[layout.Level]) -> None:
        self.path = path
        self._levels = levels
        self.name = metadata.name
        self.detectors = metadata.detectors
        _, *shape = levels[0].shape
        self.shape: tuple[int, int, int] = (shape[0], shape[1], shape[2])
        self.dtype: np.dtype[np.integer] = np.dtype(levels[0].dtype)
        self.voxel_nm = metadata.voxel_nm
        self.phases = metadata.phases
        self.train_slices, self.test_slices = metadata.train, metadata.test
        self.slice_names = metadata.slice_names
        self.slice_numbers: tuple[float, ...] = metadata.slice_numbers or tuple(range(self.shape[0]))
        self.gaps = metadata.gaps
        self.alignment = metadata.alignment
        self.identity, self.ingested = metadata.identity, metadata.ingested
        record = metadata.record
        self.roles: Mapping[int, Role] = record.roles
        self.edits: Mapping[int, Edit] = record.edits

    @classmethod
    def open(cls, path: Path | str, *, ingested: str | None = None, identity: str | None = None) -> "Stack":
        """Open a stack store.

        Args:
            path: the store.
            ingested: the required identity at ingestion; None accepts any.
            identity: the required identity including annotations; None accepts any.

        Raises:
            StackError: there is no store, or it was not written by this package, or by a newer version of it, or it is
                damaged; or another stack was ingested in its place, or it was annotated meanwhile.
        """
        path = Path(path).absolute()
        metadata = read_metadata(path)
        if ingested not in (None, metadata.ingested):
            raise StackError(
                f"{path} was replaced since it was opened: another stack was ingested in its place, so nothing more is "
                "written of the old one; start again with this one"
            )
        if identity not in (None, metadata.identity):
            raise StackError(
                f"{path} was replaced or annotated while it was read, so nothing is written of it; give the same "
                "command again"
            )
        try:
            levels = open_image(path, metadata)
        except StackError:
            raise
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise StackError(
                f"{path} is a damaged stack store ({type(error).__name__}: {error}); ingest the sample again"
            ) from None
        return cls(path, metadata, levels)

    @property
    def store_name(self) -> str:
        """The name of the store's folder without ``.ome.zarr``, which differs between stacks."""
        return self.path.name.removesuffix(".ome.zarr")

    def reopened(self) -> "Stack":
        """Return the stack with its current annotations.

        Raises:
            StackError: see `open`.
        """
        return Stack.open(self.path, ingested=self.ingested)

    def check_unchanged(self) -> None:
        """Check after reading that the stack and its annotations were not replaced.

        Raises:
            StackError: see `open`.
        """
        Stack.open(self.path, identity=self.identity)

    def __reduce__(self) -> tuple[Any, ...]:
        return Stack.open, (self.path,)

    def __repr__(self) -> str:
        slices, rows, columns = self.shape
        size = f"{counted(slices, 'slice')} of {rows} x {columns} {self.dtype}"
        return f"Stack({self.path.name}: {'+'.join(self.detectors)}, {size})"

    def _repr_html_(self) -> str:
        """Return a description with a small picture of each detector, for notebooks."""
        slices, rows, columns = self.shape
        facts = [
            ("store", str(self.path)),
            ("detectors", ", ".join(self.detectors)),
            ("size", f"{counted(slices, 'slice')} of {rows} x {columns} pixels, {self.dtype}"),
            ("voxel", " x ".join(f"{side:g}" for side in self.voxel_nm) + " nm (z, y, x)"),
            ("phases", ", ".join(phase.name for phase in self.phases)),
            ("slices to train on", ", ".join(map(str, self.train_slices))),
            ("slices to test on", ", ".join(map(str, self.test_slices))),
            ("label images", ", ".join(self.label_names())),
        ]
        z = self.example_slice
        greys = map(stretched, self.read_overview(z, self.detectors))
        return html_table(facts) + "".join(map(html_picture, greys, (f"{name}, slice {z}" for name in self.detectors)))

    def _plane(self, channel: int, z: int, rect: Rect) -> npt.NDArray[np.integer]:
        return layout.read(self._levels[0], (channel, z, *rect.index))

    def _overview(self, channel: int, z: int) -> npt.NDArray[np.integer]:
        return layout.read(self._levels[-1], (channel, z, slice(None), slice(None)))

    def read_level(self, level: int, z: int, detector: str) -> npt.NDArray[np.integer]:
        """Read a slice on a level of its pyramid: (rows, columns), halved ``level`` times.

        Raises:
            StackError: there is no such slice.
            ConfigError: there is no such detector.
        """
        self.check_slice(z)
        return layout.read(self._levels[level], (self._channel(detector), z, slice(None), slice(None)))

    @property
    def example_slice(self) -> int:
        """An example slice: the first test slice, otherwise the first training slice, otherwise the middle."""
        return (*self.test_slices, *self.train_slices, self.shape[0] // 2)[0]

    def inside(self, z: int, rect: Rect) -> npt.NDArray[np.bool_] | None:
        """Return where all detectors have pixels in a rectangle of slice z: (rows, columns); None means everywhere."""
        return None if self.alignment is None else self.alignment.inside(z, self.shape[1:], rect)

    def read_annotation(self, z: int, rect: Rect | None = None) -> npt.NDArray[np.uint8]:
        """Read the annotation of a slice: (rows, columns), 0 unlabelled, 1..K the phases.

        Raises:
            AnnotationError: the slice is not annotated.
        """
        if z not in self.roles:
            raise AnnotationError(
                f"slice {z} of {self.path.name} is not annotated; the annotated slices are {listed(sorted(self.roles))}"
            )
        return self._read(annotation_folder(self.path), z, rect)

    def annotated_by(self, z: int) -> str | None:
        """Return who set the annotation of a slice; None if it has none, or was ingested with it."""
        edit = self.edits.get(z)
        return None if edit is None or edit.now is None else edit.source

    def read_labels(self, name: str, z: int, rect: Rect | None = None, *, level: int = 0) -> npt.NDArray[np.uint8]:
        """Read one slice of a finished label image: (rows, columns), values are phases.

        Args:
            name: the label image's name.
            z: the slice.
            rect: the part to read, in pixels of the level; None for all.
            level: the level of `level_shapes`, 0 the full one.

        Raises:
            StackError: there is no finished label image of that name, or no such slice.
        """
        self.check_slice(z)
        return self._read(self._label_folder(name), z, rect, self._label_metadata(name), level=level)

    def read_map(
        self, name: str, kind: str, z: int, rect: Rect | None = None, phase: int | None = None
    ) -> npt.NDArray[np.uint8]:
        """Read one slice of a map of a finished label image, such as ``"confidence"``.

        Args:
            name: the label image's name.
            kind: the map's name.
            z: the slice.
            rect: the part to read; None for all.
            phase: the number, from 0, of the phase whose map is meant where every phase has its own; None for all.

        Returns:
            (rows, columns), or (K, rows, columns) where every phase has its own as in ``"probability"``; 0..255 for
            0..1.

        Raises:
            StackError: there is no finished label image of that name, it has no such map, or there is no such slice.
        """
        self.check_slice(z)
        own = self._label_metadata(name)
        folder = self._label_folder(name) / kind
        if not folder.is_dir():
            raise StackError(
                f"label image {name!r} of {self.path.name} was written without {kind}; segment again and ask for it"
            )
        return self._read(folder, z, rect, own, phase)

    def label_names(self) -> tuple[str, ...]:
        """The names of the finished label images, without the annotations."""
        return finished_labels(self.path)

    def label_attributes(self, name: str) -> dict[str, Any]:
        """Return the attributes that were recorded with a label image.

        Raises:
            StackError: there is no finished label image of that name.
        """
        return dict(self._label_metadata(name)["attributes"])

    def label_slices(self, name: str) -> list[int]:
        """Return the segmented slices of a finished label image, ascending; others are empty.

        Raises:
            StackError: there is no finished label image of that name.
        """
        return list(self._label_metadata(name).get(SLICES, range(self.shape[0])))

    def write_labels(
        self,
        name: str,
        planes: Iterable[npt.NDArray[np.uint8]],
        *,
        overwrite: bool = False,
        attributes: Mapping[str, Any] | None = None,
        phases: Sequence[Phase] | None = None,
    ) -> None:
        """Write a label image slice by slice; it appears when it is complete.

        Args:
            name: see `write_result`, as for the other arguments.
            planes: (rows, columns) uint8, 0 or a phase, of every slice.
            overwrite: replace a finished label image of that name; it stays until the new one is complete.
            attributes: what to record with the labels (JSON values), e.g. the model.
            phases: the meaning of the values; the phases of the stack where None.

        Raises:
            AppError: see `write_result`.
            StackError: there are planes for more or fewer slices, or of another shape, type or higher values.
        """
        fingerprint, written = {"attributes": dict(attributes or {})}, 0
        whole = Rect.whole(self.shape)
        with self.write_result(
            name, fingerprint=fingerprint, overwrite=overwrite, attributes=attributes, phases=phases
        ) as result:
            for written, plane in enumerate(planes, 1):
                result.arrays.write(written - 1, whole, {LABELS: plane})
            if written < self.shape[0]:
                raise StackError(f"label image {name!r} lacks slices from {written} on; write every slice")
            result.finish(range(written))

    def write_result(
        self,
        name: str,
        *,
        fingerprint: Mapping[str, Any],
        maps: Sequence[Map] = (),
        overwrite: bool = False,
        attributes: Mapping[str, Any] | None = None,
        phases: Sequence[Phase] | None = None,
    ) -> AbstractContextManager[Result]:
        """Write a label image and its maps tile by tile; completed tiles survive a kill, and the next run resumes.

        Args:
            name: letters, digits and ``_ . + -``; ``annotation`` is reserved.
            fingerprint: everything that determines the result (JSON values in nested mappings); a result in progress
                with another one is not resumed.
            maps: what is written beside the labels.
            overwrite: replace a finished label image of that name, and begin again where one in progress has another
                fingerprint.
            attributes: what to record with the labels (JSON values), e.g. the model.
            phases: the meaning of the values; the phases of the stack where None.

        Returns:
            A context manager giving a `Result`, which appears at the end if its ``finish`` was called.

        Raises:
            ConfigError: the name breaks the rule, a result in progress has another fingerprint, or there are no phases
                of which a map could be written.
            TargetExistsError: there is a finished label image of that name and ``overwrite`` is false.
            BusyError: another process is writing it.
            StackError: the store holds another stack by now, or the result in progress is damaged.
        """
        meaning = self.phases if phases is None else tuple(phases)
        own = {"identity": self.identity, "ingested": self.ingested, "attributes": dict(attributes or {})}
        image = LabelImage(self.path, name, self.shape, self.voxel_nm, meaning, own)
        return resumable_result(image, maps, fingerprint, overwrite=overwrite)

    def _read(
        self,
        folder: Path,
        z: int,
        rect: Rect | None,
        result: Mapping[str, Any] | None = None,
        phase: int | None = None,
        level: int = 0,
    ) -> npt.NDArray[np.uint8]:
        """Read the labels, or the map, of a group; of results slices that were left out have no chunks."""
        complete = None if result is None or SLICES not in result else z in result[SLICES]
        try:
            full = layout.open_level(folder / str(level), complete=complete)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise StackError(f"{folder} is damaged ({type(error).__name__}: {error}); {REMEDY}") from None
        shape = (self.shape[0], *level_shapes(*self.shape[1:])[level])
        if full.shape[-3:] != shape or full.dtype != np.uint8:
            raise StackError(
                f"{folder} is damaged: it is {full.dtype} of shape {full.shape}, the stack's is {shape}; {REMEDY}"
            )
        lead = (slice(None) if phase is None else phase for _ in full.shape[:-3])
        return layout.read(full, (*lead, z, *(rect or Rect.whole(shape)).index))

    def _label_folder(self, name: str) -> Path:
        return self.path / layout.LABELS / name

    def _label_metadata(self, name: str) -> dict[str, Any]:
        if name not in self.label_names():
            known = listed(self.label_names()) or "none; run monai-app segment first"
            raise StackError(f"{self.path.name} has no finished label image {name!r}; its label images: {known}")
        try:
            own = read_own(self._label_folder(name), REMEDY) or {}
            return {**own, "attributes": own["attributes"]}
        except (OSError, KeyError) as error:
            raise StackError(
                f"{self._label_folder(name)} is damaged ({type(error).__name__}: {error}); {REMEDY}"
            ) from None
