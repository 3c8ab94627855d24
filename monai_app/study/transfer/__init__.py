"""What the runs of a study are worth on samples that they were not trained on."""
