"""Deep-learning segmentation of raw, two-detector FIB-SEM serial sections with MONAI bundles."""

import os

# MONAI loads MLflow wherever it is installed, and MLflow would report its use to its makers. Set to false, it may.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

__version__ = "0.1.0"
