"""What a stack is: ingesting images, checking, storing as OME-NGFF Zarr; annotations, splits and label images."""

from monai_app.domain.phase import Phase
from monai_app.stack.annotations.editing import Revision, annotate, revise, snapshot
from monai_app.stack.annotations.history import Edit, Role
from monai_app.stack.annotations.segments import to_phases
from monai_app.stack.ingestion.description import AnnotationDescription, SampleDescription, Voxel
from monai_app.stack.ingestion.ingest import ingest
from monai_app.stack.ingestion.source_description import DetectorDescription, GreyDescription, SourceDescription
from monai_app.stack.slabs import ArrayStack, SlabSource
from monai_app.stack.store import Stack

__all__ = [
    "AnnotationDescription",
    "ArrayStack",
    "DetectorDescription",
    "Edit",
    "GreyDescription",
    "Phase",
    "Revision",
    "Role",
    "SampleDescription",
    "SlabSource",
    "SourceDescription",
    "Stack",
    "Voxel",
    "annotate",
    "ingest",
    "revise",
    "snapshot",
    "to_phases",
]
