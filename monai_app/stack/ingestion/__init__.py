"""From a description and image files to a stack."""
