"""The napari plugin: labelling a stack, proposals, training and predictions, without a server."""
