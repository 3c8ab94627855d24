"""Deep-learning segmentation of raw, two-detector FIB-SEM serial sections with MONAI bundles.

The names of `monai_app.api` are imported on first use; ``__init__.pyi`` lists them.
"""

import os

import lazy_loader

# MONAI loads MLflow wherever it is installed, and MLflow would report its use to its makers. Set to false, it may.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
