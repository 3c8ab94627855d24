"""OME-Zarr of other programs (OME-NGFF 0.1 to 0.5, Zarr v2 and v3): images, and label images in them."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from monai_app.errors import StackError
from monai_app.io.base import Request, check_type, readable
from monai_app.io.formats.arrays import ArrayPlanes, channels_along, depth_of, unnamed_axes
from monai_app.io.memory import check_backed
from monai_app.io.recorded import UNKNOWN, Recorded, Size, length_nm

_CODECS = ("zarr.codecs.", "numcodecs.zarr3", "zarr.core.")
"""Modules whose codecs decode bytes and do nothing else."""

_NUMCODECS = {
    "blosc",
    "bz2",
    "crc32",
    "crc32c",
    "delta",
    "fletcher32",
    "gzip",
    "lz4",
    "lzma",
    "shuffle",
    "zlib",
    "zstd",
}
"""Codecs of Zarr v2 that are read; others, such as pickle, may run what stands in a file."""

_OLD_AXES = "tczyx"
"""Axes of OME-NGFF 0.1 and 0.2, which name none."""


def open_ngff(path: Path, request: Request) -> ArrayPlanes:
    """Check an image of an OME-Zarr folder, at full resolution.

    Args:
        path: the folder.
        request: what is asked for; `dataset` is the path of an image in the folder, as in ``labels/cells`` or ``0``.

    Raises:
        StackError: the folder cannot be read, or which of its images is meant is not clear.
    """
    with readable(path):
        inside = _inner(request.dataset or "")
        attributes = _attributes(path / inside)
        if request.labels and not inside.parts and (names := _label_names(path)):
            held = ", ".join(f"labels/{name}" for name in names)
            raise StackError(f"it has label images ({held}); select one, as in 'dataset: {held.split(', ')[0]}'")
        scales = attributes.get("multiscales") or [{}]
        name = (inside / _inner(_first(scales[0]))).as_posix()
        array = _array(path / name)
        return _planes(path, name, array, attributes, request)


def _planes(path: Path, name: str, array: Any, attributes: Mapping[str, Any], request: Request) -> ArrayPlanes:
    check_type(array.dtype, 8 * array.dtype.itemsize, request)
    scale = (attributes.get("multiscales") or [{}])[0]
    axes = _axes(scale, array.shape)
    check_backed(math.prod(array.shape[-2:]) * array.dtype.itemsize, (path / name).rglob("*"))
    return ArrayPlanes(
        path,
        math.prod(array.shape[:-2]),
        array.shape[-2:],
        array.dtype.newbyteorder("="),
        segments=_segments(attributes),
        recorded=Recorded(_size(scale, axes), origin="its OME-NGFF metadata"),
        channels=channels_along(axes, array.shape, _channel_names(attributes)),
        part=name,
        lead=array.shape[:-2],
        depth=depth_of(array.shape, array.chunks, array.dtype),
        opened=lambda: _opened(path / name),
    )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    yield _array(path)


def _attributes(path: Path) -> Mapping[str, Any]:
    """What stands under ``ome``, or in older versions directly; nothing where it is an array."""
    import zarr

    try:
        node = zarr.open(str(path), mode="r", use_consolidated=False)
    except FileNotFoundError:
        raise StackError(
            f"there is no Zarr image {path.name!r}; give the path of one in the folder as 'dataset'"
        ) from None
    found: dict[str, Any] = dict(node.attrs) if isinstance(node, zarr.Group) else {}
    content: dict[str, Any] = found.get("ome", found)
    if isinstance(node, zarr.Group) and not (isinstance(content, dict) and content.get("multiscales")):
        images = ", ".join(sorted(name for name, _ in node.members())[:8])
        raise StackError(
            f"{path.name} is not an image (it has no 'multiscales', but {images or 'nothing'}): select "
            "one, as in 'dataset: 0'"
        )
    return content


def _array(path: Path) -> Any:
    import zarr

    array: Any = zarr.open_array(str(path), mode="r")
    metadata = array.metadata
    if metadata.zarr_format == 2:
        strange = {each.codec_id for each in (metadata.compressor, *(metadata.filters or ())) if each} - _NUMCODECS
    else:
        strange = {type(each).__name__ for each in metadata.codecs if not type(each).__module__.startswith(_CODECS)}
    if strange or array.dtype.kind not in "uifb":
        raise StackError(
            f"it holds {array.dtype} packed by {', '.join(strange) or 'nothing'}, which is not read; save "
            "it as numbers, compressed with zstd or blosc"
        )
    return array


def _inner(name: str) -> PurePosixPath:
    """A path in the folder.

    Raises:
        StackError: it leads out of it.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise StackError(f"{name!r} is no path in the folder; correct it")
    return path


def _first(scale: Mapping[str, Any]) -> str:
    datasets = scale.get("datasets")
    return str(datasets[0]["path"]) if datasets else ""


def ngff_images(path: Path) -> list[str]:
    """The image of a folder, whose name is empty, and its label images."""
    return ["", *(f"labels/{name}" for name in _label_names(path))]


def _label_names(path: Path) -> list[str]:
    """Label images of the image in the folder; they are listed, or found."""
    folder = path / "labels"
    return (
        sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
        if folder.is_dir()
        else []
    )


def _axes(scale: Mapping[str, Any], shape: tuple[int, ...]) -> str:
    axes = scale.get("axes")
    if axes is None:
        return _OLD_AXES if scale and len(shape) == len(_OLD_AXES) else unnamed_axes(shape)
    names = [axis["name"] if isinstance(axis, dict) else axis for axis in axes]
    kinds = [axis.get("type") if isinstance(axis, dict) else None for axis in axes]
    letters = ["c" if kind == "channel" else str(name).casefold()[:1] for name, kind in zip(names, kinds, strict=True)]
    return "".join(letters)


def _size(scale: Mapping[str, Any], axes: str) -> Size:
    """The size of the voxels of full resolution, in nm."""
    named = scale.get("axes")
    if not named or not isinstance(named[0], dict):
        return UNKNOWN
    lengths = [1.0] * len(axes)
    for step in (
        *scale["datasets"][0].get("coordinateTransformations", ()),
        *scale.get("coordinateTransformations", ()),
    ):
        if step.get("type") == "scale":
            lengths = [length * factor for length, factor in zip(lengths, step["scale"], strict=True)]
    sizes = {
        axis: length_nm(length, entry.get("unit")) for axis, length, entry in zip(axes, lengths, named, strict=True)
    }
    if all(length == 1 for axis, length in zip(axes, lengths, strict=True) if axis in "zyx"):
        return UNKNOWN  # what programs write that know no size
    return sizes.get("z"), sizes.get("y"), sizes.get("x")


def _channel_names(attributes: Mapping[str, Any]) -> list[str | None]:
    channels = (attributes.get("omero") or {}).get("channels") or []
    return [channel.get("label") for channel in channels]


def _segments(attributes: Mapping[str, Any]) -> dict[int, str]:
    """What a label image calls its values."""
    entries = (attributes.get("image-label") or {}).get("properties") or []
    return {int(entry["label-value"]): str(entry["name"]) for entry in entries if entry.get("name")}
