"""Labels proposed from painted pixels by a random forest on pixel features.

A proposal of a slice takes seconds, so it can be repeated after every stroke.
"""

from monai_app.proposals.forest import Forest, Proposal, propose, train_forest

__all__ = ["Forest", "Proposal", "propose", "train_forest"]
