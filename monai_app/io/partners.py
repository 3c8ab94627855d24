"""Which volume files belong together: those of the detectors of one case."""

from pathlib import Path


def partner_path(path: Path, detector: str) -> Path:
    """Where another detector's volume of a case lies: in a folder of its name beside the case file.

    Example:
        >>> partner_path(Path("cases/cement_z0011.nii.gz"), "TLD").as_posix()
        'cases/TLD/cement_z0011.nii.gz'
    """
    return path.parent / detector / path.name
