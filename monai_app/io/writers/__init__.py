"""Writing image files: a writer per format."""
