"""Read access to an ingested stack."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from monai_app.domain.phase import Phase
from monai_app.domain.region import Rect
from monai_app.errors import AnnotationError, StackError
from monai_app.stack.annotations.history import Edit, Record, Role
from monai_app.stack.label_images.arrays import LABELS, Map
from monai_app.stack.label_images.registry import LabelImage, finished_labels
from monai_app.stack.label_images.resumable import Result, resumable_result
from monai_app.stack.ngff import layout
from monai_app.stack.ngff.pyramid import level_shapes
from monai_app.stack.slabs import SlabSource


class Stack(SlabSource):
    """An ingested stack: detectors x slices x rows x columns, its annotations and its label images.

    Open one with `Stack.open`, make one with `ingest`. Pixels are read on demand. A stack can be pickled and used in
    other processes: it is opened there again.

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
        edits: z -> how its annotation differs from the ingested one, and who changed it.

    Example:
        >>> stack = Stack.open("cement.ome.zarr")                          # doctest: +SKIP
        >>> stack.read_slab(0, ["ICE", "TLD"], 3).shape                     # doctest: +SKIP
        (6, 3868, 4062)
    """

    def __init__(self, path: Path, own: Mapping[str, Any], image: layout.Level) -> None:
        self.path = path
        self._image = image
        self.name: str = own["name"]
        self.detectors: tuple[str, ...] = tuple(own["detectors"])
        self.shape: tuple[int, int, int] = (image.shape[1], image.shape[2], image.shape[3])
        self.dtype: np.dtype[np.integer] = np.dtype(image.dtype)
        self.voxel_nm: tuple[float, float, float] = (own["voxel_nm"]["z"], own["voxel_nm"]["y"], own["voxel_nm"]["x"])
        self.phases: tuple[Phase, ...] = tuple(Phase.model_validate(phase) for phase in own["phases"])
        self.train_slices: tuple[int, ...] = tuple(own["train"])
        self.test_slices: tuple[int, ...] = tuple(own["test"])
        self.slice_names: tuple[str, ...] = tuple(own["slice_names"])
        self.slice_numbers: tuple[float, ...] = tuple(own.get("slice_numbers", range(self.shape[0])))
        self.gaps: tuple[int, ...] = tuple(own.get("gaps", ()))
        self.identity: str = own["identity"]
        self.ingested: str = own["ingested"]
        record = Record.from_own(own)
        self.roles: Mapping[int, Role] = record.roles
        self.edits: Mapping[int, Edit] = record.edits

    @classmethod
    def open(cls, path: Path | str, *, ingested: str | None = None) -> "Stack":
        """Open a stack store.

        Args:
            path: the store.
            ingested: the identity at the ingestion that it must have; None takes any.

        Raises:
            StackError: there is no store, or it was not written by this package, or by a newer version of it; or
                another stack was ingested in its place.
        """
        path = Path(path).absolute()
        own = layout.read_own(path)
        if ingested not in (None, own["ingested"]):
            raise StackError(
                f"{path} was replaced since it was opened: another stack was ingested in its place; start again with "
                "this one"
            )
        try:
            image = zarr.open_array(path, path="0", mode="r")
            return cls(path, own, image)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise StackError(
                f"{path} is a damaged stack store ({type(error).__name__}: {error}); ingest the sample again"
            ) from None

    def reopened(self) -> "Stack":
        """The stack with the annotations that it has now.

        Raises:
            StackError: as `open`.
        """
        return Stack.open(self.path, ingested=self.ingested)

    def __reduce__(self) -> tuple[Any, ...]:
        return Stack.open, (self.path,)

    def __repr__(self) -> str:
        slices, rows, columns = self.shape
        return (
            f"Stack({self.path.name}: {'+'.join(self.detectors)}, {slices} slices of {rows} x {columns} {self.dtype})"
        )

    def _plane(self, channel: int, z: int, rect: Rect) -> npt.NDArray[np.integer]:
        return layout.read(self._image, (channel, z, *rect.index))

    def _overview(self, channel: int, z: int) -> npt.NDArray[np.integer]:
        smallest = len(level_shapes(*self.shape[1:])) - 1
        return layout.read(zarr.open_array(self.path, path=str(smallest), mode="r"), (channel, z))

    def read_annotation(self, z: int, rect: Rect | None = None) -> npt.NDArray[np.uint8]:
        """Read the annotation of a slice: (rows, columns), 0 unlabelled, 1..K the phases.

        Raises:
            AnnotationError: the slice is not annotated.
        """
        if z not in self.roles:
            raise AnnotationError(
                f"slice {z} of {self.path.name} is not annotated; the annotated slices are {sorted(self.roles)}"
            )
        return self._read(f"{layout.LABELS}/{layout.annotation_folder(self.path).name}/0", z, rect)

    def annotated_by(self, z: int) -> str | None:
        """Who set the annotation that a slice has; None where it has none, or was ingested with it."""
        edit = self.edits.get(z)
        return None if edit is None or edit.now is None else edit.source

    def read_labels(self, name: str, z: int, rect: Rect | None = None) -> npt.NDArray[np.uint8]:
        """Read one slice of a finished label image: (rows, columns), values are phases.

        Raises:
            StackError: there is no finished label image of that name, or no such slice.
        """
        self._check_labels(name)
        self.check_slice(z)
        return self._read(f"{layout.LABELS}/{name}/0", z, rect)

    def read_map(self, name: str, kind: str, z: int, rect: Rect | None = None) -> npt.NDArray[np.uint8]:
        """Read one slice of a map that was written beside a finished label image, such as ``"confidence"``.

        Returns:
            (rows, columns), or (K, rows, columns) where every phase has its own as in ``"probability"``; 0..255 for
            0..1.

        Raises:
            StackError: there is no finished label image of that name, it has no such map, or there is no such slice.
        """
        self._check_labels(name)
        self.check_slice(z)
        path = f"{layout.LABELS}/{name}/{kind}/0"
        if not (self.path / path).is_dir():
            raise StackError(
                f"label image {name!r} of {self.path.name} was written without {kind}; segment again and ask for it"
            )
        return self._read(path, z, rect)

    def label_names(self) -> tuple[str, ...]:
        """The names of the finished label images, without the annotations."""
        return finished_labels(self.path)

    def label_attributes(self, name: str) -> dict[str, Any]:
        """The attributes that were given when a label image was written.

        Raises:
            StackError: there is no finished label image of that name.
        """
        self._check_labels(name)
        group = zarr.open_group(self.path, path=f"{layout.LABELS}/{name}", mode="r")
        own: dict[str, Any] = group.attrs.asdict()[layout.OWN]  # type: ignore[assignment]  # JSON of our own making
        return dict(own["attributes"])

    def write_labels(
        self,
        name: str,
        planes: Iterable[npt.NDArray[np.uint8]],
        *,
        overwrite: bool = False,
        attributes: Mapping[str, Any] | None = None,
        phases: Sequence[Phase] | None = None,
    ) -> None:
        """Write a label image, slice after slice; it appears when it is complete.

        Args:
            name: see `write_result`, as the others.
            planes: (rows, columns) uint8, 0 or a phase, of every slice.
            overwrite: replace a finished label image of that name; it stays until the new one is complete.
            attributes: what to record with the labels (JSON values), e.g. the model.
            phases: the meaning of the values; the phases of the stack where None.

        Raises:
            AppError: as `write_result`.
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
        """Write a label image and its maps tile by tile; what is done survives a kill and the next run resumes it.

        Args:
            name: letters, digits and ``_ . + -``; ``annotation`` is reserved.
            fingerprint: everything that decides the result (JSON values in nested mappings); a result in progress
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
        own = {
            "format": layout.FORMAT,
            "identity": self.identity,
            "ingested": self.ingested,
            "attributes": dict(attributes or {}),
        }
        image = LabelImage(self.path, name, self.shape, self.voxel_nm, meaning, own)
        return resumable_result(image, maps, fingerprint, overwrite=overwrite)

    def _read(self, path: str, z: int, rect: Rect | None) -> npt.NDArray[np.uint8]:
        full = zarr.open_array(self.path, path=path, mode="r")
        return layout.read(full, (*(slice(None) for _ in full.shape[:-3]), z, *(rect or Rect.whole(self.shape)).index))

    def _check_labels(self, name: str) -> None:
        if name not in self.label_names():
            raise StackError(
                f"{self.path.name} has no finished label image {name!r}; its label images: {list(self.label_names())}"
            )
