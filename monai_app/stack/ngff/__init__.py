"""The store's arrays and metadata, OME-NGFF."""
