"""Read slabs and annotations from a stored stack."""

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform

from monai_app.domain.model_spec import ModelSpec
from monai_app.stack import Stack


@lru_cache(maxsize=8)
def _open(path: str) -> Stack:
    """Open a stack once per process: its metadata is parsed for every slice otherwise."""
    return Stack.open(path)


class LoadSlabd(MapTransform):
    """Replace a stack's path by the slab around slice ``d["z"]``.

    The result is a float32 ``MetaTensor`` of shape (S*C, rows, columns) in the stack's grey values, slice-major:
    z-1:ICE, z-1:TLD, z:ICE, ... At the ends of the stack the end slice is repeated. Only the chunks of these slices
    are read.

    Args:
        keys: keys of stack paths.
        spec: of the model: detectors, slices and type of the pixels.
        z_key: key of the target slice's index.

    Raises:
        StackError: when called, if the stack has no such slice or pixels of another type.
        ConfigError: when called, if the stack has no such detector.
    """

    def __init__(self, keys: str | Sequence[str], spec: ModelSpec, z_key: str = "z") -> None:
        super().__init__(keys)
        self.spec, self.z_key = spec, z_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of ``data`` with the slabs read."""
        item = dict(data)
        for key in self.key_iterator(item):
            path, z = str(item[key]), int(item[self.z_key])
            stack = _open(path)
            self.spec.check_stack(stack)
            slab = stack.read_slab(z, self.spec.detectors, self.spec.slices)
            item[key] = MetaTensor(torch.from_numpy(slab.astype(np.float32)), meta={"filename_or_obj": path, "z": z})
        return item


class LoadAnnotationd(MapTransform):
    """Replace a stack's path by the annotation of slice ``d["z"]``.

    The result is a uint8 ``MetaTensor`` of shape (1, rows, columns): 0 unlabelled, 1..K the phases. An item with
    ``"spare"`` is wholly unlabelled, see :func:`monai_app.transforms.share_items`.

    Args:
        keys: keys of stack paths.
        kept: per slice index a boolean mask (rows, columns); labels where it is ``False`` become unlabelled. This is
            how training and validation share a slice, see :mod:`monai_app.training.split`. ``None`` keeps all.
        z_key: key of the slice's index.

    Raises:
        AnnotationError: when called, if the slice is not annotated.
    """

    def __init__(
        self, keys: str | Sequence[str], kept: Mapping[int, np.ndarray] | None = None, z_key: str = "z"
    ) -> None:
        super().__init__(keys)
        self.kept, self.z_key = kept, z_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of ``data`` with the annotations read."""
        item = dict(data)
        for key in self.key_iterator(item):
            path, z = str(item[key]), int(item[self.z_key])
            labels = _open(path).read_annotation(z)
            if self.kept is not None:
                labels = np.where(self.kept[z], labels, 0).astype(np.uint8)
            if item.get("spare"):
                labels = np.zeros_like(labels)
            item[key] = MetaTensor(torch.from_numpy(labels[None]), meta={"filename_or_obj": path, "z": z})
        return item
