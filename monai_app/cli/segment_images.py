"""``monai-app segment MODEL --input FOLDER --output LABELS``: a folder of images that is no stack."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from monai_app import files
from monai_app.domain.region import Region
from monai_app.domain.validation import validated
from monai_app.errors import ConfigError
from monai_app.stack import Stack
from monai_app.stack.discovery.images import describe_images
from monai_app.stack.ingestion.description import Voxel
from monai_app.stack.ingestion.sample import Sample, check_sample
from monai_app.stack.saving import check_folder
from monai_app.stack.saving.slices import RECORD
from monai_app.stack.temporary_store import temporary_store

if TYPE_CHECKING:
    from monai_app.bundle.configs.applied import Applied
    from monai_app.cli.running import Applicable


def segment_images(
    model: Path, images: Path, output: Path, voxel_nm: str | None, asked: dict[str, Any], part: Mapping[str, str]
) -> None:
    """Segment a folder of images into a folder of TIFFs.

    Args:
        model: packed model, run folder or exported file.
        images: the folder of images.
        output: the folder to make.
        voxel_nm: size of a voxel as Z,Y,X; None where the files say it.
        asked: the other options that are given, as `Applied` has them.
        part: what of the images is segmented.

    Raises:
        AppError: something does not fit, is in the way, or stopped the run; the same call resumes.
    """
    overwrite = asked.pop("overwrite", False)
    target = output.resolve()
    _check_folders(images, output, overwrite=overwrite)
    voxel = None if voxel_nm is None else _voxel(voxel_nm)
    target.parent.mkdir(parents=True, exist_ok=True)
    with temporary_store(target) as store:
        from monai_app.bundle.segment import segment
        from monai_app.bundle.stacks import tell_what_is_unfamiliar
        from monai_app.cli.progress import progress_bar
        from monai_app.cli.running import applicable, applied, checked_device
        from monai_app.inspection import warn_of_faults

        if "device" in asked:
            asked["device"] = checked_device(asked["device"])
        if "mask" in asked:
            asked["mask"] = str(Path(asked["mask"]).absolute())  # other processes take it from any folder
        chosen = applicable(_unpacked(model, store.folder / "model"))
        tiffs = store.folder / "labels"
        settings = applied(chosen, asked | {"tiff_dir": str(tiffs)}, part)
        spec = chosen.model.spec.reading(settings.stand_ins)
        sample = check_sample(describe_images(images, spec.detectors, voxel, typer.echo))
        spec.check_dtype(sample.dtype, images)
        _check_region(settings, sample)
        with progress_bar("ingest") as progress:
            stack = store.ingested(sample, progress, typer.echo)
        tell_what_is_unfamiliar(spec, stack)
        warn_of_faults(stack)
        name = _name_of(chosen, settings)
        files.remove_tree(tiffs)  # of a call that was stopped before they had their place
        segment(chosen.model, stack.path, name, settings)
        _complete(tiffs, stack, f"{name}_preview" if settings.preview else name, images, chosen.name)
        with files.transaction(target, None, lambda: check_folder(None, target, overwrite=overwrite)) as partial:
            tiffs.rename(partial)
    typer.echo(f"labels: {output}")


def _check_folders(images: Path, output: Path, *, overwrite: bool) -> None:
    if not images.is_dir():
        problem = "is a file; give the folder that holds it" if images.is_file() else "does not exist; correct the path"
        raise ConfigError(f"--input {images} {problem}")
    if (images / "zarr.json").is_file():
        raise ConfigError(f"--input {images} is a store; segment a stack by STACK MODEL, without --input")
    if output.resolve().is_relative_to(images.resolve()) or images.resolve().is_relative_to(output.resolve()):
        raise ConfigError(f"--output {output}: it and --input {images} lie one in the other; choose a folder beside it")
    check_folder(None, output, overwrite=overwrite)


def _voxel(text: str) -> Voxel:
    try:
        lengths = [float(length) for length in text.split(",")]
    except ValueError:
        lengths = []
    if len(lengths) != 3:
        raise ConfigError(f"--voxel-nm {text!r} is no size of a voxel; write three numbers in nm, such as 20,5,5")
    return validated(Voxel, dict(zip("zyx", lengths, strict=True)), "--voxel-nm")


def _unpacked(model: Path, folder: Path) -> Path:
    """The model, unpacked into a folder where it is packed."""
    if model.suffix.lower() != ".zip":
        return model
    from monai_app.bundle.model import needs_trust
    from monai_app.bundle.packages.archive import unpack

    bundle = folder / model.stem
    unpack(model, bundle, overwrite=True)
    if needs_trust(bundle):
        raise ConfigError(
            f"{model}: its network is none of this package or of MONAI, so it has to be trusted; unpack it first "
            f"(monai-app unpack {model} FOLDER), look at it, and give FOLDER in its place"
        )
    return bundle


def _check_region(settings: "Applied", sample: Sample) -> None:
    """Refuse a region before the images are ingested."""
    region = settings.region
    Region.parse(region.slices, region.rows, region.columns, (sample.slices, *sample.plane_shape))


def _name_of(chosen: "Applicable", settings: "Applied") -> str:
    """A name for the labels that other settings or weights do not have: these do not resume what is there."""
    import torch

    from monai_app.device.choose import chosen_device

    decides = settings.model_dump(mode="json", exclude={"memory", "tiff_dir"})
    decides |= {"device": chosen_device(settings.device).type, "torch": torch.__version__}
    if settings.mask is not None and Path(settings.mask).is_file():
        decides["mask"] = files.file_sha256(Path(settings.mask))
    text = json.dumps([decides, chosen.model.describe()])
    return f"labels_{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _complete(tiffs: Path, stack: Stack, name: str, images: Path, model: str) -> None:
    """Add the tables to the folder, and name images and model in its record, for the store is removed."""
    for table in (stack.path / "labels" / name).glob("*.csv"):
        files.link_or_copy(table, tiffs / table.name)
    record = json.loads((tiffs / RECORD).read_text(encoding="utf8"))
    content = f"labels of {stack.name} by {model}"
    files.write_json(tiffs / RECORD, record | {"stack": str(images.absolute()), "labels": model, "content": content})
