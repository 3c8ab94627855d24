"""Prove that a package is whole and gives its golden labels on the machine at hand."""

from pathlib import Path

from monai_app.bundle.packages.archive import Files, check_files, unpack
from monai_app.bundle.packages.golden import GoldenCheck, check_golden
from monai_app.temporary import temporary_folder


def check_package(bundle: Path) -> tuple[Files, GoldenCheck]:
    """Check a package: the zip file, or the folder it was unpacked to.

    Returns:
        How its files compare with what was packed, and how the golden labels compare.

    Raises:
        ConfigError: a file is missing or changed, or the weights don't fit.
    """
    if bundle.is_dir():
        return check_files(bundle), check_golden(bundle.absolute())
    with temporary_folder("check") as temporary:
        folder = temporary / bundle.stem
        unpack(bundle, folder)
        return check_package(folder)
