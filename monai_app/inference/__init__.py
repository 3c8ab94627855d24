"""Segment whole stacks."""

from monai_app.inference.writer import LabelWriterHandler, check_export, export_tiff

__all__ = ["LabelWriterHandler", "check_export", "export_tiff"]
