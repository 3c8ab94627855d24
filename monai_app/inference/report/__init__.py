"""Reports on a result: confidence, and how its slices compare with the training slices."""
