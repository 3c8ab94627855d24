"""Artefacts of FIB-SEM images: their causes, and adding them to any images."""

from monai_app.artefacts.curtains import Curtains
from monai_app.artefacts.overlay import amplified, apparent_hardness, brightened, curtained, displaced, noisy, shaded
from monai_app.artefacts.shading import lost_light

__all__ = [
    "Curtains",
    "amplified",
    "apparent_hardness",
    "brightened",
    "curtained",
    "displaced",
    "lost_light",
    "noisy",
    "shaded",
]
