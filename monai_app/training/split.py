"""Divide annotated slices into training and validation areas by spatial blocks.

Neighbouring pixels are nearly copies of each other, so a random split of pixels would validate on training data. Blocks
are held out instead; labels of the other part become unlabelled (Roberts et al. 2017, Ecography 40:913, doi
10.1111/ecog.02881, on blocked validation of spatially dependent data).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from monai_app.domain.region import Rect
from monai_app.errors import AnnotationError, ConfigError
from monai_app.progress import counted
from monai_app.stack import Stack

MOST_PIXELS = 2**20
"""Default maximum of labelled validation pixels of a stack.

More would add little information but take longer than the training: three annotated slices of 4000 x 4000 pixels would
have 12 million.
"""

Block = tuple[int, Rect]
"""z and a rectangle of that slice."""


@dataclass(frozen=True)
class BlockSplit:
    """The validation blocks of a set of slices; all other labelled pixels are for training.

    Attributes:
        shape: rows and columns of every slice.
        z: the slices that were divided.
        blocks: z and rectangle of the blocks that validate.
    """

    shape: tuple[int, int]
    z: tuple[int, ...]
    blocks: tuple[Block, ...]

    @property
    def validation(self) -> dict[int, np.ndarray]:
        """Per slice a boolean mask (rows, columns), ``True`` where labels validate."""
        masks = {z: np.zeros(self.shape, dtype=bool) for z in self.z}
        for z, rect in self.blocks:
            masks[z][rect.index] = True
        return masks

    @property
    def training(self) -> dict[int, np.ndarray]:
        """Per slice a boolean mask (rows, columns), ``True`` where labels train."""
        return {z: ~mask for z, mask in self.validation.items()}


def split_blocks(
    annotations: Mapping[int, np.ndarray],
    phases: int,
    fraction: float = 0.25,
    block: int = 128,
    seed: int = 0,
    most: int | None = MOST_PIXELS,
) -> BlockSplit:
    """Choose validation blocks that hold ``fraction`` of the labelled area, or ``most`` pixels where that is less.

    Blocks are added one by one, each time the one that brings every phase's share (and every slice's) nearest to
    ``fraction``; a phase that stands in two blocks or more is meant to get onto both sides. No slice gives all its
    labels away. ``block`` is halved, down to 8 px, until every slice has at least four blocks and labels in two.

    Args:
        annotations: per slice index its annotation (rows, columns), 0 unlabelled, 1..K; equal shapes.
        phases: number of phases K.
        fraction: share of the labelled area that validates, between 0 and 1.
        block: side of a block, in pixels.
        seed: breaks ties between equal blocks.
        most: labelled pixels that validate at most, but for parts of a block; None means no limit.

    Raises:
        ConfigError: ``fraction`` or ``block`` out of range.
        AnnotationError: nothing to split, or no slice with labels in two blocks.
    """
    if not 0 < fraction < 1 or block < 1:
        raise ConfigError(f"fraction {fraction} and block {block}: give 0 < fraction < 1 and a block of at least 1 px")
    if not annotations:
        raise AnnotationError("no annotated slice to train on; list at least one under annotations: train")
    shape = next(iter(annotations.values())).shape
    candidates, counts = _labelled_blocks(annotations, phases, block)
    while block > 8 and _too_coarse(candidates, shape, block, len(annotations)):
        block //= 2
        candidates, counts = _labelled_blocks(annotations, phases, block)
    if most is not None:
        fraction = min(fraction, most / max(counts.sum(), 1))
    order = np.random.default_rng(seed).permutation(len(candidates))
    chosen = _choose([candidates[i] for i in order], counts[order], fraction)
    if not chosen:
        raise AnnotationError(
            f"labels are in {counted(len(candidates), 'block')} of {block} px, but training and validation need one "
            "each on some slice; annotate more"
        )
    return BlockSplit(shape=(shape[0], shape[1]), z=tuple(sorted(annotations)), blocks=chosen)


@dataclass(frozen=True)
class StackSplits:
    """The splits of several stacks, each by its path.

    Attributes:
        splits: a stack's path -> its split.
    """

    splits: Mapping[str, BlockSplit]

    @property
    def validation(self) -> dict[str, dict[int, np.ndarray]]:
        """Per stack what `BlockSplit.validation` is."""
        return {path: split.validation for path, split in self.splits.items()}

    @property
    def training(self) -> dict[str, dict[int, np.ndarray]]:
        """Per stack what `BlockSplit.training` is."""
        return {path: split.training for path, split in self.splits.items()}


def split_stacks(
    stacks: Sequence[str], fraction: float = 0.25, block: int = 128, seed: int = 0, most: int | None = None
) -> StackSplits:
    """Split the training slices of each of several stacks, see :func:`split_blocks`.

    Configs of earlier versions call it without ``most``, and had no limit.
    """
    opened = [Stack.open(path) for path in stacks]
    return StackSplits({str(stack.path): split_stack(stack, fraction, block, seed, most) for stack in opened})


def split_stack(
    stack: str | Stack, fraction: float = 0.25, block: int = 128, seed: int = 0, most: int | None = MOST_PIXELS
) -> BlockSplit:
    """Split the training slices of a stack, see :func:`split_blocks`."""
    source = stack if isinstance(stack, Stack) else Stack.open(stack)
    annotations = {z: source.read_annotation(z) for z in source.train_slices}
    return split_blocks(annotations, len(source.phases), fraction, block, seed, most)


def _labelled_blocks(annotations: Mapping[int, np.ndarray], phases: int, block: int) -> tuple[list[Block], np.ndarray]:
    """Return the blocks that hold labels and their pixel counts (blocks, phases)."""
    shape = next(iter(annotations.values())).shape
    blocks = [(z, rect) for z in sorted(annotations) for rect in Rect.whole(shape).split(block, block)]
    pixels = (np.bincount(annotations[z][rect.index].ravel(), minlength=phases + 1) for z, rect in blocks)
    counts = np.array([each[1 : phases + 1] for each in pixels], dtype=np.float64)
    labelled = counts.sum(axis=1) > 0
    return [b for b, some in zip(blocks, labelled, strict=True) if some], counts[labelled]


def _too_coarse(candidates: Sequence[Block], shape: Sequence[int], block: int, slices: int) -> bool:
    """Whether some slice has fewer than four blocks, or labels in fewer than two."""
    per_slice = Counter(z for z, _ in candidates)
    few = len(per_slice) < slices or min(per_slice.values()) < 2
    return few or -(-shape[0] // block) * -(-shape[1] // block) < 4


def _choose(candidates: Sequence[Block], counts: np.ndarray, fraction: float) -> tuple[Block, ...]:
    """Pick blocks greedily until ``fraction`` of the area is reached; ``counts`` is (blocks, phases)."""
    if not candidates:
        return ()
    slices = np.array([[z == other for other in sorted({z for z, _ in candidates})] for z, _ in candidates])
    # Each column is something that should be shared out evenly: every phase, then every slice's area.
    amounts = np.concatenate([counts, slices * counts.sum(axis=1, keepdims=True)], axis=1)
    amounts = amounts[:, amounts.sum(axis=0) > 0]
    divisible = (amounts > 0).sum(axis=0) > 1
    shares = amounts / amounts.sum(axis=0)
    area = counts.sum(axis=1) / counts.sum()
    taken = np.zeros(len(candidates), dtype=bool)
    while area[taken].sum() < fraction and (~taken).sum() > 1:
        after = shares[taken].sum(axis=0) + shares
        one_sided = ((after < 1e-12) | (after > 1 - 1e-12)) & divisible
        cost = np.square(after - fraction).sum(axis=1) + one_sided.sum(axis=1)
        last = slices[:, slices[~taken].sum(axis=0) == 1].any(axis=1)
        cost[taken | last] = np.inf  # every slice keeps a block to train on
        if np.isinf(cost).all():
            break
        best = int(cost.argmin())
        if taken.any() and abs(area[taken].sum() + area[best] - fraction) > fraction - area[taken].sum():
            break  # one more block would overshoot by more than is missing now
        taken[best] = True
    return tuple(sorted(block for block, chosen in zip(candidates, taken, strict=True) if chosen))
