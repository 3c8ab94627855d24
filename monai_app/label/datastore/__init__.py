"""A stack as MONAI Label's datastore: cases, files of clients, and the folder for them."""
