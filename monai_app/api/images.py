"""Segment a folder of images without ingesting it first."""

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from monai_app import files
from monai_app.api.given import PathLike, Report, path_of
from monai_app.api.options import SegmentOptions, asked_settings
from monai_app.domain.region import Region
from monai_app.domain.validation import validated
from monai_app.errors import ConfigError
from monai_app.progress import Progress, counted, silent
from monai_app.stack import Stack
from monai_app.stack.discovery.images import describe_images
from monai_app.stack.ingestion.description import Voxel
from monai_app.stack.ingestion.sample import check_sample
from monai_app.stack.mask import check_mask_file
from monai_app.stack.saving import check_folder
from monai_app.stack.saving.slices import RECORD
from monai_app.stack.temporary_store import TemporaryStore, temporary_store

if TYPE_CHECKING:
    from monai_app.api.running import Applicable
    from monai_app.bundle.configs.applied import Applied

_log = logging.getLogger(__name__)


def segment_images(
    model: PathLike,
    images: PathLike,
    output: PathLike,
    *,
    voxel_nm: Sequence[float] | None = None,
    progress: Progress = silent,
    segmenting: Progress | None = None,
    report: Report = _log.info,
    **options: Unpack[SegmentOptions],
) -> Path:
    """Segment a folder of images into a folder of TIFFs, as ``monai-app segment MODEL --input`` does.

    The same call resumes a segmentation that was stopped.

    Args:
        model: packed model, run folder or exported file.
        images: a subfolder per detector, or a folder with a ``sample.yaml``.
        output: the folder to create, with one TIFF per slice.
        voxel_nm: voxel size (z, y, x) in nm; None if the files contain it.
        progress: called with the slices that are read and their total.
        segmenting: called with the pixels computed and their total; None logs them.
        report: called with messages about what was done, line by line; by default they are logged.
        options: region, mask, memory, device and others, see `SegmentOptions`.

    Returns:
        The folder of labels.

    Raises:
        AppError: the arguments do not fit, the target exists, or the run was stopped.
    """
    source, target = path_of(images, "images"), path_of(output, "output")
    overwrite = options.get("overwrite", False)
    if voxel_nm is not None and len(voxel_nm) != 3:
        raise ConfigError(
            f"voxel_nm {voxel_nm} has {counted(len(voxel_nm), 'number')}; give three in nm, along z, y and x"
        )
    _check_folders(source, target, overwrite=overwrite)
    voxel = None
    if voxel_nm is not None:
        voxel = validated(Voxel, dict(zip("zyx", voxel_nm, strict=True)), "voxel_nm (--voxel-nm)")
    place = target.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    with temporary_store(place) as store:
        from monai_app.api.running import applicable, applied, checked_device

        chosen = applicable(_unpacked(path_of(model, "model"), store.folder / "model"))
        tiffs = store.folder / "labels"
        mask = options.get("mask")
        asked = asked_settings(
            options,
            mask=None if mask is None else str(path_of(mask, "mask").absolute()),  # other processes may run elsewhere
            device=checked_device(options.get("device")),
            confidence="none",  # of the maps that the run folder asks for, nothing would remain
            probability=False,
            tiff_dir=str(tiffs),
            overwrite=False,
        )
        settings = applied(chosen, asked)
        stack = _ingested(store, source, chosen, settings, voxel, progress, report)
        _segment(stack, chosen, settings, tiffs, source, segmenting)
        with files.transaction(place, None, lambda: check_folder(None, place, overwrite=overwrite)) as partial:
            tiffs.rename(partial)
    return target


def _ingested(
    store: TemporaryStore,
    images: Path,
    chosen: "Applicable",
    settings: "Applied",
    voxel: Voxel | None,
    progress: Progress,
    report: Report,
) -> Stack:
    """Return the images as a temporary stack, after checking that model and settings fit."""
    from monai_app.bundle.segment import check_settings

    spec = chosen.model.spec
    read = spec.reading(settings.stand_ins).detectors
    sample = check_sample(describe_images(images, read, voxel, report, names=spec.detectors))
    spec.check_dtype(sample.dtype, images)
    _check_fits(settings, (sample.slices, *sample.plane_shape))
    check_settings(chosen.model, store.path, settings, sample.slices)
    return store.ingested(sample, progress, report)


def _segment(
    stack: Stack,
    chosen: "Applicable",
    settings: "Applied",
    tiffs: Path,
    images: Path,
    progress: Progress | None,
) -> None:
    from monai_app.bundle.segment import segment
    from monai_app.bundle.stacks import warn_if_unfamiliar
    from monai_app.inspection import warn_of_faults

    settings = settings.model_copy(update={"stand_ins": {}})  # the stack's detectors are called as the model's
    warn_if_unfamiliar(chosen.model.spec, stack)
    warn_of_faults(stack)
    files.remove_tree(tiffs)  # left by a call that was stopped before it moved them
    name = segment(chosen.model, stack.path, _name_of(chosen, settings), settings, progress)
    _complete(tiffs, stack, name, images, chosen.name)


def _check_folders(images: Path, output: Path, *, overwrite: bool) -> None:
    if not images.is_dir():
        problem = (
            "is a file; give the folder that contains it" if images.is_file() else "does not exist; correct the path"
        )
        raise ConfigError(f"images (--input) {images} {problem}")
    if (images / "zarr.json").is_file():
        raise ConfigError(
            f"images (--input) {images} is a store; to segment a stack, call segment (write STACK MODEL without "
            "--input)"
        )
    if output.resolve().is_relative_to(images.resolve()) or images.resolve().is_relative_to(output.resolve()):
        raise ConfigError(
            f"output (--output) {output}: it and images (--input) {images} overlap; choose a separate folder"
        )
    check_folder(None, output, overwrite=overwrite)


def _unpacked(model: Path, folder: Path) -> Path:
    """Return the model, unpacked to a folder if it is packed."""
    if model.suffix.lower() != ".zip":
        return model
    from monai_app.bundle.model import needs_trust
    from monai_app.bundle.packages.archive import unpack

    bundle = folder / model.stem
    unpack(model, bundle, overwrite=True)
    if needs_trust(bundle):
        raise ConfigError(
            f"{model}: its network belongs to neither this package nor MONAI, so it must be trusted; unpack it first "
            f"(monai-app unpack {model} FOLDER), review it, and give FOLDER instead"
        )
    return bundle


def _check_fits(settings: "Applied", shape: tuple[int, int, int]) -> None:
    """Refuse a region or a mask before the images are ingested."""
    region = settings.region
    Region.parse(region.slices, region.rows, region.columns, shape)
    if settings.mask is not None:
        if not Path(settings.mask).is_file():
            raise ConfigError(f"mask (--mask) {files.is_not(Path(settings.mask), 'a file')}; give an image file")
        check_mask_file(settings.mask, shape)


def _name_of(chosen: "Applicable", settings: "Applied") -> str:
    """Return a name for the labels that depends on settings and weights, so that others do not resume them."""
    import torch

    from monai_app.device.choose import chosen_device

    decides = settings.model_dump(mode="json", exclude={"memory", "tiff_dir", "workers", "cluster"})
    decides |= {"device": chosen_device(settings.device).type, "torch": torch.__version__}
    if settings.mask is not None:
        decides["mask"] = files.file_sha256(Path(settings.mask))
    text = json.dumps([decides, chosen.model.describe()])
    return f"labels_{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _complete(tiffs: Path, stack: Stack, name: str, images: Path, model: str) -> None:
    """Add the tables to the folder and record images and model, because the store is removed."""
    for table in (stack.path / "labels" / name).glob("*.csv"):
        files.link_or_copy(table, tiffs / table.name)
    record = json.loads((tiffs / RECORD).read_text(encoding="utf8"))
    content = f"labels of {stack.name} by {model}"
    files.write_json(tiffs / RECORD, record | {"stack": str(images.absolute()), "labels": model, "content": content})
