"""Quantities of a segmented stack in physical units: fractions, surfaces, components, chords, thickness.

Labels are read block by block, so that memory does not grow with the stack.

Example:
    >>> import numpy as np
    >>> from monai_app.stack import Phase
    >>> voxels = np.ones((4, 8, 8), np.uint8)
    >>> voxels[:, :2] = 2
    >>> phases = [Phase(value=1, name="solid", rgb=(0, 0, 0)), Phase(value=2, name="pore", rgb=(9, 9, 9))]
    >>> found = quantify(ArrayLabels(voxels, (10.0, 5.0, 5.0), phases), {"fraction": MEASURES["fraction"]})
    >>> found.quantities["volume_fraction"]["pore"].value
    0.25
"""

from monai_app.quantities.labels import ArrayLabels, Labels, StoredLabels
from monai_app.quantities.measures import MEASURES, chosen_measures, tortuosity_measure
from monai_app.quantities.quantification import Quantification, quantify
from monai_app.quantities.quantity import Measure, Measured, Panel, Quantity, Table

__all__ = [
    "MEASURES",
    "ArrayLabels",
    "Labels",
    "Measure",
    "Measured",
    "Panel",
    "Quantification",
    "Quantity",
    "StoredLabels",
    "Table",
    "chosen_measures",
    "quantify",
    "tortuosity_measure",
]
