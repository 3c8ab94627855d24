"""Read slabs and annotations from a stored stack."""

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform

from monai_app.domain.model_spec import ModelSpec
from monai_app.stack import Stack


class _LoadSlice(MapTransform):
    """Replaces a stack's path by something of slice ``d["z"]``; the stack must have the ``d["identity"]``, if any."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of ``data`` with the pixels read."""
        item = dict(data)
        for key in self.key_iterator(item):
            path, z = str(item[key]), int(item["z"])
            stack = Stack.open(path, identity=item.get("identity"))
            pixels = torch.from_numpy(self._read(stack, z, item))
            stack.check_unchanged()
            item[key] = MetaTensor(pixels, meta={"filename_or_obj": path, "z": z, "ingested": stack.ingested})
        return item

    @abstractmethod
    def _read(self, stack: Stack, z: int, item: Mapping[Hashable, Any]) -> np.ndarray:
        """The pixels (channels, rows, columns)."""


class LoadSlabd(_LoadSlice):
    """Replace a stack's path by the slab around slice ``d["z"]``.

    The result is a float32 ``MetaTensor`` of shape (S*C, rows, columns) in the stack's grey values, slice-major:
    z-1:ICE, z-1:TLD, z:ICE, ... At the ends of the stack the end slice is repeated. Only the chunks of these slices
    are read.

    Args:
        keys: keys of stack paths.
        spec: of the model: detectors, slices and type of the pixels.

    Raises:
        StackError: when called, if the stack has no such slice or pixels of another type, or was replaced.
        ConfigError: when called, if the stack has no such detector, or no scaling.
    """

    def __init__(self, keys: str | Sequence[str], spec: ModelSpec) -> None:
        super().__init__(keys)
        self.spec = spec

    def _read(self, stack: Stack, z: int, item: Mapping[Hashable, Any]) -> np.ndarray:
        self.spec.of_stack(stack.ingested).check_stack(stack)
        return stack.read_slab(z, self.spec.detectors, self.spec.slices).astype(np.float32)


class LoadAnnotationd(_LoadSlice):
    """Replace a stack's path by the annotation of slice ``d["z"]``.

    The result is a uint8 ``MetaTensor`` of shape (1, rows, columns): 0 unlabelled, 1..K the phases. An item with
    ``"spare"`` is wholly unlabelled, see :func:`monai_app.transforms.share_items`.

    Args:
        keys: keys of stack paths.
        kept: per path of a stack and slice index a boolean mask (rows, columns); labels where it is ``False`` become
            unlabelled. This is how training and validation share a slice, see :mod:`monai_app.training.split`. ``None``
            keeps all.

    Raises:
        AnnotationError: when called, if the slice is not annotated.
        StackError: when called, if the stack was replaced.
    """

    def __init__(self, keys: str | Sequence[str], kept: Mapping[str, Mapping[int, np.ndarray]] | None = None) -> None:
        super().__init__(keys)
        self.kept = kept

    def _read(self, stack: Stack, z: int, item: Mapping[Hashable, Any]) -> np.ndarray:
        labels = stack.read_annotation(z)
        if self.kept is not None:
            labels = np.where(self.kept[str(stack.path)][z], labels, 0).astype(np.uint8)
        return np.zeros_like(labels[None]) if item.get("spare") else labels[None]
