"""TIFF files, with what microscopes and other programs write into them."""

from monai_app.io.formats.tiff.planes import open_tiff

__all__ = ["open_tiff"]
