"""What differs between machines: memory, precision."""
