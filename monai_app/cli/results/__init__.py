"""Commands that say what a segmentation is worth and what it shows: scores and quantities."""
