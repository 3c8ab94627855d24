"""Prove that a package is whole and gives its golden labels on the machine at hand."""

from pathlib import Path

from monai_app.bundle.packages.archive import check_files, unpack
from monai_app.bundle.packages.golden import GoldenCheck, check_golden
from monai_app.temporary import temporary_folder


def check_package(bundle: Path) -> tuple[int, GoldenCheck]:
    """Check a package: the zip file, or the folder it was unpacked to.

    Returns:
        The number of files, all as they were packed, and how the golden labels compare.

    Raises:
        ConfigError: a file is missing or changed, or the weights don't fit.
    """
    if bundle.is_dir():
        files = check_files(bundle)
        return files, check_golden(bundle.absolute())
    with temporary_folder("check") as temporary:
        folder = temporary / bundle.stem
        unpack(bundle, folder)
        return check_package(folder)
