"""Segmentation of stacks."""

from monai_app.inference.inferers.exact import ExactInferer, with_labelled_wanted
from monai_app.inference.inferers.volume import VolumeInferer
from monai_app.inference.model import Model
from monai_app.inference.outputs import Outputs
from monai_app.inference.predict import Predictor
from monai_app.inference.segmentation import Segmentation
from monai_app.inference.tiff_export import check_export, export_tiff
from monai_app.inference.tiling.request import Request

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
