"""The material of the phantom: grains, fields and phases as a function of seed and position."""
