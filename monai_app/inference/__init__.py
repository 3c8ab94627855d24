"""Segment whole stacks."""

from monai_app.inference.writer import LabelWriterHandler, export_tiff

__all__ = ["LabelWriterHandler", "export_tiff"]
