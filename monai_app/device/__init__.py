"""Differences between machines: memory, precision, copies, kernels and tuning."""
