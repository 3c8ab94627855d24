"""Read the detectors of a volume file: partner files by rule, or the channels of one 4-D file."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform

from monai_app.domain.model_spec import ModelSpec
from monai_app.errors import StackError
from monai_app.io import partner_path, read_volume
from monai_app.io.grid import SAME_PLACE, apart
from monai_app.progress import counted

Pixels = npt.NDArray[Any]
Affine = npt.NDArray[np.float64]

_TURN = np.diag((-1.0, -1.0, 1.0, 1.0))
"""From LPS, ITK's and our volumes', to RAS, MONAI's."""


def detector_files(case: Path, detectors: Sequence[str]) -> list[Path]:
    """Return the file of each detector of a case of 3-D files.

    The case file is the volume of one detector, by custom the sample's first. Those of the others have its name and
    lie in folders beside it that are named after the detectors: ``case.nii.gz``, ``TLD/case.nii.gz``. So a detector
    with a folder has its file there, and the one without is the case file itself. A model of some of the sample's
    detectors takes the files that it needs.

    Args:
        case: the case file.
        detectors: the names of the detectors that are needed.

    Returns:
        One file a detector, in their order.

    Raises:
        StackError: a file is missing, or the case file would be that of several detectors.
    """
    files = {name: partner_path(case, name) for name in detectors}
    homeless = [name for name in detectors if not files[name].parent.is_dir()]
    if len(homeless) > 1:
        raise StackError(
            f"{case} can be the volume of one detector only, and there is no folder beside it for {homeless[0]} nor "
            f"for {', '.join(homeless[1:])}: put the other detector's volume at {files[homeless[-1]]}, or give one 4-D "
            "file with all detectors"
        )
    for name in homeless:
        files[name] = case
    for name, path in files.items():
        if not path.is_file():
            raise StackError(
                f"{path} is not there: the volume of detector {name} that belongs to {case} has its name and lies in a "
                f"folder {name} beside it; put it there"
            )
    return list(files.values())


class LoadVolumed(MapTransform):
    """Replace the path of a volume file by the pixels of all detectors that the model needs.

    The result is a float32 ``MetaTensor`` (C, X, Y, Z) of grey values, axes as they lie in the file: columns, rows,
    slices. It has the case file's affine, to RAS and in the file's unit, and ``spatial_shape``: by these MONAI Label
    writes a result.

    The file is 3-D, with partners by the rule of :func:`detector_files`; or 4-D (X, Y, Z, C), with exactly the model's
    detectors in their order, because channels of a file have no names.

    Args:
        keys: keys of paths of volume files (`is_volume`).
        spec: of the model: its C detectors and the type of the pixels.

    Raises:
        StackError: when called, if a file is missing or unreadable, has pixels of another type or another number of
            channels than the model's detectors, or if the detectors' volumes do not lie upon each other.
    """

    def __init__(self, keys: str | Sequence[str], spec: ModelSpec) -> None:
        super().__init__(keys)
        self.spec = spec

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of ``data`` with the volumes read."""
        item = dict(data)
        for key in self.key_iterator(item):
            item[key] = self._read(Path(str(item[key])))
        return item

    def _read(self, case: Path) -> MetaTensor:
        pixels, affine = self._read_file(case)
        if pixels.ndim == 4:
            planes: Iterable[Pixels] = self._channels(pixels, case)
        else:
            files = detector_files(case, self.spec.detectors)
            # One at a time: of a large volume the others' pixels need not be held twice.
            planes = (pixels if path == case else self._read_partner(path, case, pixels, affine) for path in files)
        x, y, z = pixels.shape[:3]
        # In the memory x is the fastest axis, as in the file: so the pixels of a slice lie together.
        volume = torch.empty((len(self.spec.detectors), z, y, x)).permute(0, 3, 2, 1)
        for channel, plane in enumerate(planes):
            volume[channel] = torch.from_numpy(plane)
        meta = {"filename_or_obj": str(case), "original_affine": affine, "spatial_shape": np.array((x, y, z))}
        return MetaTensor(volume, affine=torch.from_numpy(affine), meta=meta)

    def _channels(self, pixels: Pixels, case: Path) -> Iterable[Pixels]:
        if pixels.shape[3] != len(self.spec.detectors):
            raise StackError(
                f"{case} has {counted(pixels.shape[3], 'channel')} and the model "
                f"{counted(len(self.spec.detectors), 'detector')} ({', '.join(self.spec.detectors)}): channels in a "
                "file have no names, so they must be these, in this order; write such a file, or one 3-D file per "
                "detector"
            )
        return (pixels[..., channel] for channel in range(pixels.shape[3]))

    def _read_partner(self, path: Path, case: Path, pixels: Pixels, affine: Affine) -> Pixels:
        found, own = self._read_file(path)
        if found.shape != pixels.shape:
            raise StackError(
                f"{path} has {_sides(found)} voxels and {case} {_sides(pixels)}: a sample's detectors see the same "
                "voxels; give volumes of one shape"
            )
        distance = apart(affine, own, pixels.shape)
        if distance > SAME_PLACE:
            raise StackError(
                f"{path} lies {distance:.3g} voxels beside {case} at a corner: a sample's detectors see the same "
                "voxels; write both with the same origin, spacing and directions"
            )
        return found

    def _read_file(self, path: Path) -> tuple[Pixels, Affine]:
        """Read a file as it stands: (X, Y, Z) or (X, Y, Z, C), and the affine to RAS."""
        volume = read_volume(path)
        pixels, affine = volume.pixels, _TURN @ volume.affine
        self.spec.check_dtype(pixels.dtype, path)
        axes = np.abs(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)).argmax(axis=0).tolist()
        if axes != [0, 1, 2]:
            raise StackError(
                f"the axes of {path} run along {', '.join('xyz'[axis] for axis in axes)}: they must be columns, rows "
                "and slices along x, y and z, or the network would see turned images; save the volume in this order"
            )
        return pixels.transpose(2, 1, 0, *range(3, pixels.ndim)), affine


def _sides(pixels: Pixels) -> str:
    return " x ".join(map(str, pixels.shape))
