"""How few labels suffice: variants that are trained on a part of the annotations."""
