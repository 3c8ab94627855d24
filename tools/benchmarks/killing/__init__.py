"""What `kills.py` is made of."""
