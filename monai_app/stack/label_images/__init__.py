"""Label images and their maps."""
