"""Segment whole stacks."""

from monai_app.inference.inferer import ExactInferer
from monai_app.inference.writer import LabelWriterHandler, check_export, export_tiff

__all__ = ["ExactInferer", "LabelWriterHandler", "check_export", "export_tiff"]
