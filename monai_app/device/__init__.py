"""What differs between machines: memory, precision, copies, kernels and what they are fastest with."""
