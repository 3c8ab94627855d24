"""What a stack is: reading TIFFs, checking, storing as OME-NGFF Zarr; annotations, splits and label images."""

from monai_app.stack.annotating import Revision, annotate, revise, snapshot
from monai_app.stack.description import AnnotationDescription, SampleDescription
from monai_app.stack.edits import Edit, Role
from monai_app.stack.ingestion import ingest
from monai_app.stack.labels import LabelWriter
from monai_app.stack.phases import Phase
from monai_app.stack.slabs import ArrayStack, SlabSource
from monai_app.stack.store import Stack

__all__ = [
    "AnnotationDescription",
    "ArrayStack",
    "Edit",
    "LabelWriter",
    "Phase",
    "Revision",
    "Role",
    "SampleDescription",
    "SlabSource",
    "Stack",
    "annotate",
    "ingest",
    "revise",
    "snapshot",
]
