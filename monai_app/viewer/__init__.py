"""Viewers of a stack: Neuroglancer in a browser, and napari."""
