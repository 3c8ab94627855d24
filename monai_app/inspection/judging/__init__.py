"""What of the measures is odd: rules with their thresholds, and findings."""
