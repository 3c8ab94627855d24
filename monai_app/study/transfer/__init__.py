"""Scores of a study's runs on samples other than the training sample."""
