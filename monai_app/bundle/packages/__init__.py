"""A trained model as one zip file with a manifest and a self-test."""
