"""The fixed affine scaling per detector, which is the only preprocessing of pixels."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from monai.transforms import MapTransform, NormalizeIntensity

from monai_app.domain.model_spec import ModelSpec


class ScaleSlabd(MapTransform):
    """Scale slabs that :class:`~monai_app.transforms.LoadSlabd` read, as the model does: (grey - mean) / std.

    Args:
        keys: keys of slabs (S*C, rows, columns).
        spec: of the model, with one scaling, or one of each training stack.
    """

    def __init__(self, keys: str | Sequence[str], spec: ModelSpec) -> None:
        super().__init__(keys)
        self.spec = spec
        self._known: dict[str, NormalizeIntensity] = {}

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return a copy of ``data`` with the slabs scaled."""
        item = dict(data)
        for key in self.key_iterator(item):
            item[key] = self._of(item[key].meta["ingested"])(item[key])
        return item

    def _of(self, ingested: str) -> NormalizeIntensity:
        if ingested not in self._known:
            spec = self.spec.of_stack(ingested)
            self._known[ingested] = NormalizeIntensity(spec.channel_mean, spec.channel_std, channel_wise=True)
        return self._known[ingested]
