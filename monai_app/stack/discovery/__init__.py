"""Inspecting the files of a sample: a description is made of their metadata, and of questions for what is missing."""

from monai_app.stack.discovery.describe import describe, questions
from monai_app.stack.discovery.discover import Discovery, discover
from monai_app.stack.discovery.read import read_description, write_description

__all__ = ["Discovery", "describe", "discover", "questions", "read_description", "write_description"]
