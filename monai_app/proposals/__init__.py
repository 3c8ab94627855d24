"""Labels proposed from the pixels that are painted so far, by a random forest on features of every pixel.

A proposal of a slice takes seconds, so it can be asked for again after every stroke.
"""

from monai_app.proposals.forest import Forest, Proposal, propose, train_forest

__all__ = ["Forest", "Proposal", "propose", "train_forest"]
