"""Write a phantom as a sample: TIFF folders, truth, annotations and the description that `ingest` reads."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tifffile

from monai_app.domain.schemas import write_document
from monai_app.errors import ConfigError
from monai_app.files import atomic_directory
from monai_app.phantom.config import PhantomConfig
from monai_app.phantom.simulate import PhantomSlice, simulate
from monai_app.phantom.structure.phases import PHASES
from monai_app.progress import Progress, silent
from monai_app.stack import SampleDescription
from monai_app.stack.places import check_outside_stores

_NAME = "cement-phantom"
_SHORTEST = 5
"""Least number of slices that three training slices and a test slice not beside one of them can be chosen from."""


def write_sample(
    config: PhantomConfig,
    target: Path | str,
    train: Sequence[int] | None = None,
    test: Sequence[int] | None = None,
    progress: Progress = silent,
    overwrite: bool = False,
) -> Path:
    """Simulate a stack and write it as a sample folder, completely or not at all.

    The folder holds one folder of TIFFs per detector and ``truth`` (``slice_0000.tif`` ..., (rows, columns) uint8),
    ``annotations`` (the truth of the annotated slices only), ``sample.yaml`` (what `ingest` reads), ``phantom.yaml``
    (the complete config), the schemas of these two for editors, and ``positions.csv`` (depth and drift of every slice
    in nm).

    Args:
        config: what to simulate.
        target: the folder to make.
        train: slices to train on; default three spread over the stack.
        test: slices to test on; default one that is not beside a training slice.
        progress: called after every slice.
        overwrite: replace an existing target.

    Raises:
        TargetExistsError: the target exists and ``overwrite`` is not set.
        ConfigError: a stack too short, slices to train or test on that do not fit it, or a target inside a store.
    """
    train, test = annotated_slices(config.slices, train, test)
    target = Path(target)
    check_outside_stores(target)
    with atomic_directory(target, "phantom.yaml", overwrite=overwrite) as partial:
        _write_slices(config, partial, {*train, *test}, progress)
        config.to_yaml(partial / "phantom.yaml")
        write_document(SampleDescription, _description(config, train, test), partial / "sample.yaml")
    return target


def annotated_slices(
    slices: int, train: Sequence[int] | None = None, test: Sequence[int] | None = None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Choose or check the slices to train and to test on.

    Example:
        >>> annotated_slices(24)
        ((4, 11, 18), (21,))

    Raises:
        ConfigError: a stack too short, or slices that are outside it, named twice or none.
    """
    if train is None:
        if slices < _SHORTEST:
            raise ConfigError(
                f"slices is {slices}; a sample needs at least {_SHORTEST}, or name train and test yourself"
            )
        train, default = _default_slices(slices)
        test = default if test is None else test
    elif test is None:
        test = (_far_from(train, slices),)
    for name, chosen in (("train", train), ("test", test)):
        _check_slices(name, chosen, slices)
    if both := sorted(set(train) & set(test)):
        raise ConfigError(f"slice {both[0]} is in train and in test; a test slice must not be trained on")
    return tuple(train), tuple(test)


def _default_slices(slices: int) -> tuple[tuple[int, int, int], tuple[int]]:
    """Three slices spread over the stack and one behind them with a slice between."""
    third = min(3 * slices // 4, slices - 3)
    second = min(11 * slices // 24, third - 1)
    return (min(slices // 6, second - 1), second, third), (max(7 * slices // 8, third + 2),)


def _far_from(train: Sequence[int], slices: int) -> int:
    """The slice farthest from all training slices; of several the last."""
    distances = [min((abs(z - other) for other in train), default=slices) for z in range(slices)]
    farthest = max(distances)
    if farthest < 2:
        raise ConfigError(
            f"slices is {slices} with training slices {list(train)}: every other slice is beside one of them; "
            "take more slices or name test yourself"
        )
    return max(z for z, distance in enumerate(distances) if distance == farthest)


def _check_slices(name: str, chosen: Sequence[int], slices: int) -> None:
    if not chosen:
        raise ConfigError(f"{name} is empty; name at least one slice")
    for z in chosen:
        if not 0 <= z < slices:
            raise ConfigError(f"{name} names slice {z}; the stack has slices 0 to {slices - 1}")
    if len(set(chosen)) < len(chosen):
        raise ConfigError(f"{name} is {list(chosen)}; name every slice once")


def _write_slices(config: PhantomConfig, folder: Path, annotated: set[int], progress: Progress) -> None:
    names = [detector.name for detector in config.detectors]
    for name in (*names, "truth", "annotations"):
        (folder / name).mkdir()
    progress(0, config.slices)
    with (folder / "positions.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["z", "depth_nm", "drift_y_nm", "drift_x_nm"])
        for item in simulate(config):
            place = item.position
            table.writerow([item.z, *(f"{v:.3f}" for v in (place.depth_nm, place.drift_y_nm, place.drift_x_nm))])
            _write_slice(item, folder, item.z in annotated)
            progress(item.z + 1, config.slices)


def _write_slice(item: PhantomSlice, folder: Path, annotated: bool) -> None:
    images = {**item.images, "truth": item.truth}
    if annotated:
        images["annotations"] = item.truth
    for name, image in images.items():
        # Noise does not compress; label maps do, by a factor of fifty.
        compression = "zlib" if name in ("truth", "annotations") else None
        path = folder / name / f"slice_{item.z:04d}.tif"
        tifffile.imwrite(path, image, photometric="minisblack", compression=compression)


def _description(config: PhantomConfig, train: Sequence[int], test: Sequence[int]) -> dict[str, Any]:
    """The content of ``sample.yaml``."""
    voxel = config.voxel_nm
    return {
        "name": _NAME,
        "voxel_nm": {"z": float(voxel.z), "y": float(voxel.y), "x": float(voxel.x)},
        "detectors": {detector.name: detector.name for detector in config.detectors},
        "phases": [phase.sample_entry() for phase in PHASES],
        "annotations": {
            "source": "annotations",
            "mapping": {phase.value: phase.name for phase in PHASES},
            "unlabelled": [0],
            "train": list(train),
            "test": list(test),
        },
    }
