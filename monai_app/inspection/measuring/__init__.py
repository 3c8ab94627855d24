"""Measures of slices and of how they go together; what they mean is judged elsewhere."""
