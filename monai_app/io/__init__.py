"""Image files: planes of a stack in every format that is read, and volumes with their geometry."""

from monai_app.io.base import Request
from monai_app.io.grid import Extent, Grid, Labels, Volume, on_grid
from monai_app.io.opening import open_planes
from monai_app.io.reading import check_labels, partner_path, read_header, read_volume
from monai_app.io.recorded import Recorded
from monai_app.io.sources import Source
from monai_app.io.volume import Header
from monai_app.io.writers.volumes import write_like, write_volume

__all__ = [
    "Extent",
    "Grid",
    "Header",
    "Labels",
    "Recorded",
    "Request",
    "Source",
    "Volume",
    "check_labels",
    "on_grid",
    "open_planes",
    "partner_path",
    "read_header",
    "read_volume",
    "write_like",
    "write_volume",
]
