"""Data items and MONAI dictionary transforms from a stored stack to a network's input, and from its logits to labels.

A data item is a dictionary ``{"image": <stack path>, "label": <stack path>, "z": <slice index>, "identity": <the
stack's>}``; with ``"spare": True`` too it stands in for a share of nothing and counts for nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
