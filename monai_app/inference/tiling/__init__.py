"""Tiling: the tiles of a segmentation, and the pixels that each reads."""
