"""Labels, annotations and maps of a stack as files of other programs: one file, or a folder with one image a slice."""

from monai_app.stack.saving.file import save
from monai_app.stack.saving.slices import check_folder, save_slices

__all__ = ["check_folder", "save", "save_slices"]
