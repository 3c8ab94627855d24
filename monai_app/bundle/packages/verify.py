"""Verify that a package is complete and reproduces the labels of its test tile on this machine."""

from pathlib import Path

from monai_app.bundle.packages.archive import unpack
from monai_app.bundle.packages.manifest import Files, check_files
from monai_app.bundle.packages.tile import TileCheck, check_test_tile
from monai_app.bundle.runs import WEIGHTS
from monai_app.errors import ConfigError
from monai_app.files import file_sha256
from monai_app.temporary import temporary_folder
from monai_app.training.evaluation import POOLED, is_evaluation


def check_package(bundle: Path) -> tuple[Files, TileCheck]:
    """Check a package: the zip file, or the folder it was unpacked to.

    Returns:
        How its files and the labels of its test tile compare with what was packed.

    Raises:
        ConfigError: a file is missing or changed, the weights do not fit, or scores were changed other than by an
        evaluation.
    """
    if bundle.is_dir():
        files, tile = check_files(bundle), check_test_tile(bundle.absolute())
        _check_changed(bundle, files.changed)
        return files, tile
    with temporary_folder("check") as temporary:
        folder = temporary / bundle.stem
        unpack(bundle, folder)
        return check_package(folder)


def _check_changed(bundle: Path, changed: list[str]) -> None:
    """Check that packed scores were changed by an evaluation, which writes new pooled scores of the same weights."""
    if changed and not (POOLED in changed and is_evaluation(bundle / POOLED, file_sha256(bundle / WEIGHTS))):
        raise ConfigError(
            f"{bundle / changed[0]} changed since packing, and {POOLED} has no later scores of the packed weights; "
            "unpack the package again, or evaluate it again"
        )
