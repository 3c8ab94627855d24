"""Deep-learning segmentation of raw, two-detector FIB-SEM serial sections with MONAI bundles."""

__version__ = "0.1.0"
