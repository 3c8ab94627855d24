"""Models in the format of bioimage.io."""
