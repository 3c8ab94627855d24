"""Phase fractions corrected by the confusion of independent labels, with intervals.

The pixels that a label image gives to a phase are a stratum of known size, of which the annotated ones tell what it
really holds: the post-stratified, or error-adjusted, area estimator (Olofsson et al. 2014, doi
10.1016/j.rse.2014.02.015).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from monai_app.metrics.blocks import BLOCKS, LEAST_BLOCKS, Counts, confusion_blocks, shared_blocks
from monai_app.metrics.bootstrap import block_interval

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.uint8]


MOST_UNVERIFIED = 0.05
"""Share of the labels that are of phases as which no annotated pixel is labelled; more could change every fraction."""


@dataclass(frozen=True)
class CorrectedFraction:
    """The fraction of a phase, corrected by test slices.

    Attributes:
        labelled: share of the label image, uncorrected.
        corrected: what the test slices make of it.
        low, high: the interval of the true fraction of the same volume, ``nan`` where there is none.
        blocks: in how many annotated blocks the phase stands, by the annotation or by the labels.
        unreliable: reasons why the interval may not hold the true fraction.
    """

    labelled: float
    corrected: float
    low: float
    high: float
    blocks: int
    unreliable: tuple[str, ...]


def correct_fractions(voxels: Counts, blocks: Counts, *, level: float = 0.95) -> tuple[CorrectedFraction, ...]:
    """Correct the phase fractions of a label image by the confusion of annotated blocks.

    P(true | labelled) is taken from the blocks, and not P(labelled | true), whose inverse multiplies the scatter of
    the counts where two phases are often confused.

    Args:
        voxels: (K,) of each phase in the label image.
        blocks: (blocks, K, K) pixels, [true][labelled], as `confusion_of_blocks` counts them.
        level: share of the intervals that hold the true fraction.
    """
    shares = voxels / voxels.sum()
    counts = blocks.sum(axis=0)
    corrected = adjusted_fractions(counts, shares)
    found = []
    for k, share in enumerate(shares.tolist()):
        interval = block_interval(blocks, partial(_adjusted, shares=shares, phase=k), level=level, bounds=(0, 1))
        holding = int((blocks[:, k].sum(-1) + blocks[:, :, k].sum(-1) > 0).sum())
        reasons = _reasons(counts, k, shares, holding)
        found.append(CorrectedFraction(share, float(corrected[k]), interval.low, interval.high, holding, reasons))
    return tuple(found)


def adjusted_fractions(counts: Counts, shares: Floats) -> Floats:
    """Return the error-adjusted fractions of the phases: sum over j of share(j) P(true = i | labelled j).

    Args:
        counts: (..., K, K) pixels, [true][labelled].
        shares: (K,) of the label image.

    Returns:
        (..., K). A phase that labels no counted pixel is taken to be labelled rightly.

    Example:
        >>> adjusted_fractions(np.array([[8, 1], [2, 9]]), np.array([0.5, 0.5])).round(2).tolist()
        [0.45, 0.55]
    """
    labelled = counts.sum(axis=-2, keepdims=True)
    confusion = np.where(labelled > 0, counts / np.maximum(labelled, 1), np.eye(len(shares)))
    fractions: Floats = (confusion * shares).sum(axis=-1)
    return fractions


def _adjusted(counts: Counts, shares: Floats, phase: int) -> Floats:
    fractions: Floats = adjusted_fractions(counts, shares)[:, phase]
    return fractions


def confusion_of_blocks(
    slices: Iterable[tuple[int, Labels, Labels]],
    phases: int,
    voxel_nm: tuple[float, float, float],
    number: int = BLOCKS,
) -> Counts:
    """Count the confusions in the blocks of test slices, which near slices share (see `shared_blocks`).

    Args:
        slices: z, annotation and labels (rows, columns) of the test slices, z ascending; 0 is neither counted.
        phases: number of phases K.
        voxel_nm: voxel size z, y, x.
        number: about so many blocks a slice is divided into.

    Returns:
        (blocks, K, K) pixels, [true][labelled], of the blocks that hold annotated and segmented pixels.
    """
    step = voxel_nm[0] / voxel_nm[1]
    counted = ((z * step, confusion_blocks(true, labelled, phases, number)) for z, true, labelled in slices)
    return shared_blocks(counted, phases)


def _reasons(counts: Counts, phase: int, shares: Floats, blocks: int) -> tuple[str, ...]:
    """Say why the interval of a phase may not hold its true fraction."""
    true, labelled, hits = counts[phase].sum(), counts[:, phase].sum(), counts[phase, phase]
    unverified = shares[counts.sum(axis=0) == 0].sum()
    of_all = f"{100 * unverified:.0f} % of the labels are of phases that no annotated pixel is labelled as"
    reasons = [of_all] if unverified > MOST_UNVERIFIED else []
    if not true and not labelled:
        return ("the test slices have none of it, so nothing is known of its labels", *reasons)
    if not true:
        reasons.append("it is annotated nowhere on the test slices")
    if shares[phase] and not labelled:
        reasons.append("no annotated pixel is labelled as it, so its labels are taken to be right")
    if blocks < LEAST_BLOCKS:
        reasons.append(f"it stands in {blocks} of the annotated blocks only; {LEAST_BLOCKS} are needed")
    if true == labelled == hits:
        reasons.append("the test slices show no error, which does not mean that there are none elsewhere")
    return tuple(reasons)
