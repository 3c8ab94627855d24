from .deformation import Deformd
from .greys import measure_greys, measure_scaling
from .items import annotated_items, repeat_items, share_items
from .labels import IGNORED, class_indices, phase_labels
from .predictions import PhaseLabelsd
from .scaling import ScaleSlabd
from .slab import LoadAnnotationd, LoadSlabd
from .volume import LoadVolumed

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
