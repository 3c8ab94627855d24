"""What `tests/napari/test_screen.py` runs on a screen; it is not collected otherwise."""
