"""Robustness: loss of score with increasing artefacts in the test slices."""
