"""Logits of a data item as phase labels."""

from collections.abc import Hashable, Mapping
from typing import Any

from monai.transforms import MapTransform

from monai_app.transforms.labels import phase_labels


class PhaseLabelsd(MapTransform):
    """Replace logits (K, H, W) by phase labels, see :func:`phase_labels`.

    Labels, uint8, are left as they are: a volume comes as such from its inferer.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of ``data`` with labels in place of logits."""
        item = dict(data)
        for key in self.key_iterator(item):
            if item[key].is_floating_point():
                item[key] = phase_labels(item[key])
        return item
