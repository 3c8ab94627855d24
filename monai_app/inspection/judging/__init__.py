"""Rules with their thresholds, and findings."""
