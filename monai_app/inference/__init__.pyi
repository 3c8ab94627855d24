from .inferers.exact import ExactInferer, with_labelled_wanted
from .inferers.volume import VolumeInferer
from .model import Model
from .outputs import Outputs
from .predict import Predictor
from .segmentation import Segmentation
from .tiff_export import check_export, export_tiff
from .tiling.request import Request

__all__ = [
    "ExactInferer",
    "Model",
    "Outputs",
    "Predictor",
    "Request",
    "Segmentation",
    "VolumeInferer",
    "check_export",
    "export_tiff",
    "with_labelled_wanted",
]
