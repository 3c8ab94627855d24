"""Which slice to label next, and how well labels agree with annotations."""
