"""Label images and the maps beside them."""
