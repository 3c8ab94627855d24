"""Row streaming: a network's operations, computed a stripe of rows at a time."""
