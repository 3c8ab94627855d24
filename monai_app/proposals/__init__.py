"""Labels proposed from the pixels that are painted so far: a random forest on features of every pixel.

Nothing here imports torch, and a proposal of a slice takes seconds, so it can be asked for again after every stroke.
"""

from monai_app.proposals.forest import Forest, Proposal, train_forest
from monai_app.proposals.propose import propose

__all__ = ["Forest", "Proposal", "propose", "train_forest"]
