"""The methods that networks are compared with: cleaned images, thresholds, a random forest."""
