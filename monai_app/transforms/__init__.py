"""Data items and MONAI dictionary transforms from a stored stack to a network's input, and from its logits to labels.

A data item is a dictionary ``{"image": <stack path>, "label": <stack path>, "z": <slice index>, "identity": <the
stack's>}``; with ``"spare": True`` too it stands in for a share of nothing and counts for nothing.
"""

from monai_app.transforms.deformation import Deformd
from monai_app.transforms.greys import measure_greys
from monai_app.transforms.items import annotated_items, repeat_items, share_items
from monai_app.transforms.labels import IGNORED, PhaseLabelsd, class_indices, phase_labels
from monai_app.transforms.scaling import ScaleSlabd, measure_scaling
from monai_app.transforms.slab import LoadAnnotationd, LoadSlabd
from monai_app.transforms.volume import LoadVolumed

__all__ = [
    "IGNORED",
    "Deformd",
    "LoadAnnotationd",
    "LoadSlabd",
    "LoadVolumed",
    "PhaseLabelsd",
    "ScaleSlabd",
    "annotated_items",
    "class_indices",
    "measure_greys",
    "measure_scaling",
    "phase_labels",
    "repeat_items",
    "share_items",
]
