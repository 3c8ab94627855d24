"""Models as single files for other programs."""

from monai_app.export.model import open_exported
from monai_app.export.publish import Report, export_run

__all__ = ["Report", "export_run", "open_exported"]
