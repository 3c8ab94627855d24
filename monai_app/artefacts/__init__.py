"""Artefacts of FIB-SEM images: what causes them, and laying them over any images."""

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
