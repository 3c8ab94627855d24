"""Baselines for comparison with networks: cleaned images, thresholds, a random forest."""
