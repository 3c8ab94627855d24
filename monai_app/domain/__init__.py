"""What all sub-packages use: regions of a stack, phases and declarations; without torch."""
