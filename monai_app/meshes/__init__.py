"""Surfaces between the phases of a label image, as mesh files for other programs."""

from monai_app.meshes.formats import is_mesh
from monai_app.meshes.save import save_mesh

__all__ = ["is_mesh", "save_mesh"]
