"""The store's layout: OME-NGFF 0.5 metadata, Zarr arrays, reading them and writing one slice to all levels.

Every chunk ends in its CRC-32C, and chunks of one value are written too: so a damaged file and a missing one are
noticed. Arrays of earlier versions have neither.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec

from monai_app.domain.phase import UNLABELLED, Phase
from monai_app.domain.region import Span
from monai_app.errors import StackError
from monai_app.stack.ngff.folder_store import FolderStore
from monai_app.stack.ngff.pyramid import Halve, level_shapes

NGFF = "0.5"
"""Version of OME-NGFF; its metadata stand under the attribute ``ome``."""

CHUNK = 1024
"""Longest edge of a chunk in rows and columns; along detectors and slices it is 1."""

LABELS = "labels"
"""The group of the label images."""

ANNOTATION = "annotation"
"""The label image that holds the annotations."""

_EVERY_CHUNK: Any = {"write_empty_chunks": True}
_NO_BLANK_CHUNK: Any = {"write_empty_chunks": False}

_DAMAGE = (RuntimeError, ValueError, OSError)
"""What codecs raise on damaged chunks, and the disk."""

Attributes = dict[str, Any]
Index = tuple[int | slice, ...]
Level: TypeAlias = "zarr.Array[Any]"


def image_metadata(
    name: str,
    detectors: Sequence[str],
    voxel_nm: Sequence[float],
    levels: int,
    windows: Sequence[tuple[int, int]],
    top: int,
) -> Attributes:
    """NGFF metadata of the image: axes c, z, y, x.

    Args:
        name: the sample's name.
        detectors: the channel names.
        voxel_nm: voxel size z, y, x in nm.
        levels: number of pyramid levels.
        windows: the grey values that viewers show as black and white, one pair a detector.
        top: the highest value that the data type holds.
    """
    channels = [
        {
            "label": detector,
            "color": "FFFFFF",
            "active": channel == 0,  # several at once would be added up, all in white
            "coefficient": 1.0,
            "family": "linear",
            "inverted": False,
            "window": {"min": 0.0, "max": float(top), "start": float(low), "end": float(high)},
        }
        for channel, (detector, (low, high)) in enumerate(zip(detectors, windows, strict=True))
    ]
    omero = {"name": name, "channels": channels, "rdefs": {"model": "greyscale", "defaultZ": 0}}
    multiscale = _multiscale(name, voxel_nm, levels, channel=True, mean=True)
    return {"version": NGFF, "multiscales": [multiscale], "omero": omero}


def map_metadata(name: str, voxel_nm: Sequence[float], levels: int) -> Attributes:
    """NGFF metadata of an image with one value a pixel: axes z, y, x."""
    return {"version": NGFF, "multiscales": [_multiscale(name, voxel_nm, levels, channel=False, mean=True)]}


def label_metadata(name: str, phases: Sequence[Phase], voxel_nm: Sequence[float], levels: int) -> Attributes:
    """NGFF metadata of a label image: axes z, y, x; values are phases, 0 is unlabelled."""
    colours = [(UNLABELLED, (0, 0, 0, 0)), *((phase.value, (*phase.rgb, 255)) for phase in phases)]
    names = [(UNLABELLED, "unlabelled"), *((phase.value, phase.name) for phase in phases)]
    image_label = {
        "version": NGFF,
        "colors": [{"label-value": value, "rgba": list(rgba)} for value, rgba in colours],
        "properties": [{"label-value": value, "name": phase_name} for value, phase_name in names],
        "source": {"image": "../../"},
    }
    multiscale = _multiscale(name, voxel_nm, levels, channel=False, mean=False)
    return {"version": NGFF, "multiscales": [multiscale], "image-label": image_label}


def labels_metadata(names: Sequence[str]) -> Attributes:
    """NGFF metadata of the group of label images."""
    return {"version": NGFF, "labels": list(names)}


def _multiscale(name: str, voxel_nm: Sequence[float], levels: int, *, channel: bool, mean: bool) -> Attributes:
    """What all images have: their axes, and where the pixels of every level lie."""
    from ome_zarr_models.v05.axes import Axis  # slow to import, and readers do not need it
    from ome_zarr_models.v05.multiscales import Dataset, Multiscale

    def dataset(level: int) -> Dataset:
        """A level in nm: its first pixel is centred in the block of pixels it stands for."""
        steps, (z, y, x) = 2**level, voxel_nm
        shift, lead = (steps - 1) / 2, int(channel)
        scale, translation = [z, y * steps, x * steps], [0.0, y * shift, x * shift]
        return Dataset.build(path=str(level), scale=[1.0] * lead + scale, translation=[0.0] * lead + translation)

    space = [Axis(name=axis, type="space", unit="nanometer") for axis in "zyx"]
    multiscale = Multiscale(
        name=name,
        type="mean" if mean else "nearest",
        axes=[Axis(name="c", type="channel"), *space] if channel else space,
        datasets=tuple(dataset(level) for level in range(levels)),
        metadata={"method": "mean of 2 x 2" if mean else "every second pixel"},
    )
    return multiscale.model_dump(mode="json", exclude_none=True)


def create_group(path: Path, attributes: Mapping[str, Any]) -> zarr.Group:
    """Make a Zarr v3 group in a folder that holds none; files of ours that are there stay."""
    return zarr.create_group(FolderStore(path), zarr_format=3, attributes=dict(attributes))


def create_levels(
    group: zarr.Group, leading: tuple[int, ...], shape: tuple[int, int], dtype: npt.DTypeLike
) -> tuple[Level, ...]:
    """Make the arrays ``0``, ``1``, ... of all levels in a group.

    Args:
        group: the group.
        leading: (detectors, slices) for the image, (slices,) for a label image.
        shape: (rows, columns).
        dtype: uint8 or uint16.
    """
    kind = np.dtype(dtype)
    shuffle: Literal["noshuffle", "shuffle"] = "noshuffle" if kind.itemsize == 1 else "shuffle"
    return tuple(
        group.create_array(
            str(level),
            shape=(*leading, *size),
            dtype=kind,
            chunks=(*(1 for _ in leading), *(min(CHUNK, length) for length in size)),
            compressors=[
                BloscCodec(cname="zstd", clevel=3, shuffle=shuffle, typesize=kind.itemsize),
                Crc32cCodec(),
            ],
            config=_EVERY_CHUNK,
            dimension_names=("c", "z", "y", "x")[-len(leading) - 2 :],
            fill_value=0,
        )
        for level, size in enumerate(level_shapes(*shape))
    )


def open_level(folder: Path, *, writable: bool = False, complete: bool | None = None) -> Level:
    """Open an array.

    Args:
        folder: the array's.
        writable: also for writing; chunks that are missing are then read as 0.
        complete: refuse to read a chunk that is missing; None does where the array has checksums.

    Raises:
        OSError, KeyError, TypeError, ValueError: it is missing or damaged.
    """
    store = FolderStore(folder, read_only=not writable)
    level = zarr.open_array(store, mode="r+" if writable else "r")
    if not writable:
        store.complete = has_checksums(level) if complete is None else complete
    return level.with_config(_EVERY_CHUNK)


def has_checksums(level: Level) -> bool:
    """Whether every chunk of an array has its checksum; then all that must be there are there, also empty ones."""
    return any(isinstance(codec, Crc32cCodec) for codec in level.compressors)


def write_slice(
    levels: Sequence[Level], index: Index, plane: npt.NDArray[np.integer], halve: Halve
) -> npt.NDArray[np.integer]:
    """Write one plane (rows, columns) at ``index`` to all levels; returns the plane of the smallest level."""
    levels[0][index] = plane
    for level in levels[1:]:
        plane = halve(plane)
        level[index] = plane
    return plane


def clear_slice(levels: Sequence[Level], index: Index) -> None:
    """Remove one plane from all levels."""
    for level in levels:
        level.with_config(_NO_BLANK_CHUNK)[index] = 0


def read(level: Level, index: Index) -> npt.NDArray[Any]:
    """Read a part of a level.

    Raises:
        StackError: the part is damaged or the disk cannot read it.
    """
    try:
        return np.asarray(level[index])
    except _DAMAGE as error:
        raise StackError(
            f"{_shown(level, index)} cannot be read ({_reason(level, index, error)}); restore the file from a copy, "
            "or create the store or label image again"
        ) from error


def chunks_of(level: Level, index: Index) -> Iterator[tuple[Path, tuple[slice, ...]]]:
    """Give the chunks that a part of a level lies in: the file of each, and its pixels."""
    parts = [slice(part, part + 1) if isinstance(part, int) else part for part in index]
    spans = []
    for part, length, edge in zip(parts, level.shape, level.chunks, strict=True):
        start, stop, _ = part.indices(length)
        spans.append(Span(start // edge * edge, min(length, -(-stop // edge) * edge)).split(edge))
    for chunk in itertools.product(*spans):
        place = tuple(span.start // edge for span, edge in zip(chunk, level.chunks, strict=True))
        yield folder_of(level) / level.metadata.encode_chunk_key(place), tuple(span.index for span in chunk)


def folder_of(level: Level) -> Path:
    """The folder of a level."""
    return Path(str(level.store_path).removeprefix("file://"))


def _reason(level: Level, index: Index, error: Exception) -> str:
    """What is wrong with which file: a codec knows none, and a part may lie in many."""
    for file, chunk in chunks_of(level, index):
        try:
            level[chunk]
        except FileNotFoundError as missing:
            return str(missing)
        except _DAMAGE as damage:
            wrong = "its bytes do not match their checksum" if "checksum" in str(damage) else str(damage)
            return f"{file}: {wrong}"
    return str(error)


def write(level: Level, index: Index, pixels: npt.NDArray[Any]) -> None:
    """Write a part of a level; chunks that it fills in part only are read before.

    Raises:
        StackError: such a chunk is damaged, or the disk cannot write.
    """
    try:
        level[index] = pixels
    except OSError as error:
        raise StackError(
            f"{_shown(level, index)} cannot be written ({error}); free some space or repair the disk, and run again"
        ) from error
    except (RuntimeError, ValueError) as error:  # of codecs
        raise StackError(
            f"{_shown(level, index)} cannot be written because existing data is damaged ({error}); write it again"
        ) from error


def _shown(level: Level, index: Index) -> str:
    """The folder of a level and the part of it that is meant, for messages."""
    parts = [str(part) if isinstance(part, int) else f"{part.start or 0}:{part.stop or ''}" for part in index]
    return f"{folder_of(level)}[{', '.join(parts)}]"


def validate(path: Path) -> None:
    """Check a finished store against the OME-NGFF models of an independent library.

    Raises:
        ValueError: the metadata break the specification.
    """
    from ome_zarr_models.v05.image import Image  # slow to import, and readers do not need it

    Image.from_zarr(zarr.open_group(path, mode="r", zarr_format=3))
