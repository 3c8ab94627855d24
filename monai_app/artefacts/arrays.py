"""Types of images."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Image = NDArray[np.integer]
"""Recorded grey values (rows, columns), uint8 or uint16."""
