"""Error bars of phase fractions: of the segmentation, and of how well the volume represents the material."""
