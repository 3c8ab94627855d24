"""Inspecting a stack before labelling or training: measures of every slice, and findings."""

from monai_app.inspection.images import Images, open_images, stored
from monai_app.inspection.inspect import Inspection, inspect
from monai_app.inspection.judging.findings import Finding
from monai_app.inspection.quick import warn_of_faults

__all__ = ["Finding", "Images", "Inspection", "inspect", "open_images", "stored", "warn_of_faults"]
