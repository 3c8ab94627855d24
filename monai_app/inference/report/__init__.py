"""What is known of a result beside its labels: how sure the model is of it, and how familiar its slices look."""
