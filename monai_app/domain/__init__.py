"""What every room speaks of: regions of a stack, phases; no torch."""
