"""Alignment: how slices drifted and how detectors lie apart, and pixels moved to where they belong."""
