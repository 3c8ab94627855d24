"""The MONAI Label app: annotate, train and correct from 3D Slicer and other clients."""
