"""Volume files, NIfTI and NRRD, with their geometry: what viewers such as 3D Slicer and ITK-SNAP read and write."""

from monai_app.io.grid import Extent, Grid, Labels, Volume, on_grid
from monai_app.io.partners import partner_path
from monai_app.io.reading import Header, check_labels, read_header, read_volume
from monai_app.io.writing import write_like, write_volume

__all__ = [
    "Extent",
    "Grid",
    "Header",
    "Labels",
    "Volume",
    "check_labels",
    "on_grid",
    "partner_path",
    "read_header",
    "read_volume",
    "write_like",
    "write_volume",
]
