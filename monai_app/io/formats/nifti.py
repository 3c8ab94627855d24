"""The header of a NIfTI file, parsed by nibabel; it keeps its geometry twice, as a matrix and as a quaternion."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.errors import StackError
from monai_app.io.grid import Affine
from monai_app.io.volume import Header, opened

_LARGEST_OFFSET = 1 << 26
"""Where the pixels begin at the latest."""

_TOLERANCE = 0.05
"""How far apart sform and qform may put a voxel, in voxels, beyond what rounding to 32 bits does."""

_QUATERNION = 1e-6
"""How exactly programs that compute in 32 bits give the sum of squares of three numbers of a quaternion."""

_ROUNDED = 4
"""Steps between 32-bit numbers by which a coordinate may be rounded."""


def read_nifti(path: Path) -> Header:
    """Read what a NIfTI file, .nii or .nii.gz, says of itself.

    Raises:
        StackError: it is not a NIfTI file in one piece, has more than four axes, or two geometries that differ.
    """
    packed = path.name.casefold().endswith(".gz")
    with opened(path, packed) as stream:
        start = stream.read(540)
    import nibabel  # slow to import

    large = 540 in (int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big"))
    kind: Any = nibabel.Nifti2Header if large else nibabel.Nifti1Header  # typed in part
    length = 540 if large else 348
    if len(start) < length:
        raise StackError(f"it has {len(start)} bytes and is not a NIfTI file; save or copy it again")
    header = kind(start[:length], check=False)
    if header["sizeof_hdr"] != length or bytes(header["magic"].item())[:3] not in (b"n+1", b"n+2"):
        raise StackError(
            f"it does not begin as a NIfTI file in one piece (sizeof_hdr {header['sizeof_hdr']}, magic "
            f"{header['magic'].item()!r}); save it as .nii or .nii.gz, not as a pair of files"
        )
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    scale = (slope, intercept) if slope and math.isfinite(slope) and math.isfinite(intercept) else (1.0, 0.0)
    offset = float(header["vox_offset"])
    if not length + 4 <= offset <= _LARGEST_OFFSET:
        raise StackError(f"its pixels begin at byte {offset:g}: it is damaged; save it again")
    shape = _three_axes(tuple(int(size) for size in header.get_data_shape()))
    affine = np.diag((-1.0, -1.0, 1.0, 1.0)) @ nifti_affine(header)
    return Header(
        path,
        shape,
        header.get_data_dtype(),
        affine,
        header.get_xyzt_units()[0],
        int(offset),
        "file" if packed else "",
        scale,
        placed=bool(header["qform_code"] > 0 or header["sform_code"] > 0),
    )


def _three_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Lengths of x, y, z, and of detectors if there are several; axes of length 1 beyond the third mean nothing."""
    shape = (*shape, *(1 for _ in range(3 - len(shape))))
    shape = (*shape[:3], *(length for length in shape[3:] if length != 1))
    if len(shape) > 4 or min(shape) < 1:
        raise StackError(f"it has axes of {shape} and must have x, y, z, and at most one more; save a volume")
    return shape


def nifti_affine(header: Any) -> Affine:
    """Read where the voxels of a NIfTI file lie: by the sform; if there is none, by the qform.

    Programs take one or the other, ITK not always the one that nibabel does, so the two have to agree: to 0.05 voxel
    for every voxel, beyond what rounding to 32 bits does. That is little in shifts, but a quaternion leaves a turn near
    180 degrees open by up to 0.002.

    Args:
        header: nibabel's header.

    Returns:
        4 x 4, from the index x, y, z to RAS.

    Raises:
        StackError: the two differ.
    """
    if header["qform_code"] <= 0:
        return np.asarray(header.get_best_affine(), np.float64)
    qform = np.asarray(header.get_qform(), np.float64)
    if header["sform_code"] <= 0:
        return _straightened(qform)
    sform = np.asarray(header.get_sform(), np.float64)
    if np.isfinite(sform).all() and np.linalg.det(sform[:3, :3]):  # else there is no volume to speak of
        _check_agree(header, sform, qform)
    return sform


def _check_agree(header: Any, sform: Affine, qform: Affine) -> None:
    lengths = (*header.get_data_shape()[:3], 1, 1, 1)[:3]
    last = np.maximum(np.array(lengths, np.float64), 1) - 1
    size = np.linalg.norm(sform[:3, :3], axis=0)
    relative = np.linalg.solve(sform, qform)[:3]
    first = np.abs(relative[:, 3])
    spread = np.abs(relative[:, :3] - np.eye(3)) @ last
    step = np.spacing(np.abs(sform[:3, 3]).astype(np.float32)).max()
    first_may = _TOLERANCE + _ROUNDED * float(step) / size
    spread_may = _TOLERANCE + _open_angle(header) * (size @ last) / size
    if not ((first <= first_may).all() and (spread <= spread_may).all()):
        raise StackError(
            f"its sform and its qform put voxels up to {(first + spread).max():.3g} voxels apart (at most "
            f"{_TOLERANCE} is rounding), and programs use one or the other; save it with the same geometry in both, "
            "or with one of them (the other's code 0)"
        )


def _open_angle(header: Any) -> float:
    """By which turn the qform may be off: its fourth number follows from the others, the less exactly the smaller."""
    others = np.array([header["quatern_b"], header["quatern_c"], header["quatern_d"]], np.float64)
    fourth = math.sqrt(max(0.0, 1 - float(others @ others)))
    return 2 * _QUATERNION / max(fourth, math.sqrt(_QUATERNION))


def _straightened(qform: Affine) -> Affine:
    """Three of four numbers of a quaternion in 32 bits give a turn by 90 or 180 degrees to 0.0005 only."""
    size = np.linalg.norm(qform[:3, :3], axis=0)
    turn: npt.NDArray[np.float64] = qform[:3, :3] / size
    if np.abs(turn - np.rint(turn)).max() < 1e-3:
        qform[:3, :3] = np.rint(turn) * size
    return qform
