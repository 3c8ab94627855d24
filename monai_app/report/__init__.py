"""The page that says what a model, a segmented stack and its quantities are, in one file that needs nothing else."""
