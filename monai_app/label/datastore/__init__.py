"""A stack as MONAI Label's datastore: cases, what clients send, and the folder in which it is kept."""
