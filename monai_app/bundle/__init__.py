"""Find, prepare and run MONAI bundles."""
