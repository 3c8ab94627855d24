"""Phase fractions corrected by the confusion of independent labels, with intervals.

The pixels that a label image assigns to a phase are a stratum of known size, whose true composition is estimated from
the annotated ones: the post-stratified, or error-adjusted, area estimator (Olofsson et al. 2014, doi
10.1016/j.rse.2014.02.015). Two effects that resampling of a slice cannot show are added: confusions that are missing by
chance (`prior_block`), and differences between slices (`neighbour_scatter`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from monai_app.metrics.blocks import BLOCKS, LEAST_BLOCKS, Counts, confusion_blocks, shared_blocks
from monai_app.metrics.bootstrap import standard_error

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.uint8]


MOST_UNVERIFIED = 0.05
"""Share of the labels that are of phases as which no annotated pixel is labelled; more could change every fraction."""


@dataclass(frozen=True)
class Evidence:
    """How labels and annotation agree on test slices.

    Attributes:
        blocks: (blocks, K, K) pixels, [true][labelled], of the blocks that hold annotated and segmented pixels.
        slices: how many test slices hold such pixels.
    """

    blocks: Counts
    slices: int


@dataclass(frozen=True)
class CorrectedFraction:
    """The fraction of a phase, corrected by test slices.

    Attributes:
        labelled: share of the label image, uncorrected.
        corrected: corrected by the test slices.
        low, high: the interval of the true fraction of the same volume, ``nan`` if there is none.
        blocks: in how many annotated blocks the phase stands, by the annotation or by the labels.
        unreliable: reasons why the interval may not contain the true fraction.
    """

    labelled: float
    corrected: float
    low: float
    high: float
    blocks: int
    unreliable: tuple[str, ...]


def correct_fractions(voxels: Counts, evidence: Evidence, *, level: float = 0.95) -> tuple[CorrectedFraction, ...]:
    """Correct the phase fractions of a label image by the confusion of annotated blocks.

    P(true | labelled) is taken from the blocks, and not P(labelled | true), whose inverse multiplies the scatter of
    the counts where two phases are often confused. The prior block is counted with them. Half an interval is Student's
    t times the root of two variances: over resamples of the blocks, and between neighbouring slices.

    Args:
        voxels: (slices, K) of each phase in each slice of the label image, in their order along z; zeros at gaps.
        evidence: of the test slices, as `gather_evidence` finds it.
        level: confidence level of the intervals.
    """
    shares = voxels.sum(axis=0) / voxels.sum()
    counts = evidence.blocks.sum(axis=0)
    blocks = np.concatenate([evidence.blocks, prior_block(evidence.blocks, shares)[np.newaxis]])
    corrected = adjusted_fractions(blocks.sum(axis=0), shares)
    sizes = voxels.sum(axis=1)
    with np.errstate(invalid="ignore"):
        slices = voxels / sizes[:, np.newaxis]
    scatter = neighbour_scatter(slices @ confusion_shares(blocks.sum(axis=0)).T, sizes)
    error = np.hypot(
        standard_error(blocks, partial(adjusted_fractions, shares=shares)),
        np.nan_to_num(scatter) / np.sqrt(evidence.slices),
    )
    reach = stats.t.ppf((1 + level) / 2, len(evidence.blocks)) * error
    if len(evidence.blocks) < 2:
        reach[:] = np.nan
    low, high = np.clip([corrected - reach, corrected + reach], 0, 1)
    found = []
    for k, share in enumerate(shares.tolist()):
        holding = int((evidence.blocks[:, k].sum(-1) + evidence.blocks[:, :, k].sum(-1) > 0).sum())
        reasons = _reasons(counts, k, shares, holding)
        if np.isnan(scatter[k]):
            reasons = (*reasons, "no three neighbouring slices have labels, so the variation between slices is unknown")
        found.append(CorrectedFraction(share, float(corrected[k]), float(low[k]), float(high[k]), holding, reasons))
    return tuple(found)


def prior_block(blocks: Counts, shares: Floats) -> Floats:
    """Return pseudo-counts of one block: (K, K) pixels, [true][labelled].

    Few blocks, or few grains in them, lack confusions that the volume has, and so does every resample of them. The
    prior block is of mean size and labelled like the volume. Its error rate is Jeffreys' estimate with blocks as
    observations, (wrong blocks + 1/2) / (blocks + 1) (Brown, Cai and DasGupta 2001, doi 10.1214/ss/1009213286); pixels
    that are wrong are of any phase, in the proportion of the volume. They leave its fractions as they are: where no
    other block has an error, hardly more than the scatter between slices is left of the interval.

    Args:
        blocks: (blocks, K, K) pixels, [true][labelled].
        shares: (K,) of the label image.
    """
    counts = blocks.sum(axis=0)
    size = counts.sum() / len(blocks)
    wrong = (counts.sum() / size - counts.trace() / size + 0.5) / (len(blocks) + 1)
    confusion = (1 - wrong) * np.eye(len(shares)) + wrong * shares[:, np.newaxis]
    pixels: Floats = size * confusion * shares
    return pixels


def neighbour_scatter(values: Floats, sizes: Counts) -> Floats:
    """Return the standard deviation between slices, as changes of brightness cause it: (K,).

    It is estimated from second differences, in which steady changes along z cancel (Gasser, Sroka and Jennen-Steinmetz
    1986, doi 10.1093/biomet/73.3.625). Where slices are thick, changes of the structure add to it. The square of each
    difference is weighted by the smallest of its three slices: the fractions of a few voxels, at the ends of a round
    mask, differ by chance.

    Args:
        values: (slices, K) in their order along z, ``nan`` for slices without labels.
        sizes: (slices,) labelled voxels, 0 for slices without labels.

    Returns:
        ``nan`` if no three neighbouring slices have labels.

    Example:
        >>> neighbour_scatter(np.array([[0.1], [0.2], [0.3], [0.4]]), np.array([9, 9, 9, 9])).round(6).tolist()
        [0.0]
    """
    smallest = np.minimum(np.minimum(sizes[:-2], sizes[1:-1]), sizes[2:])
    known = smallest > 0
    if not known.any():
        return np.full(values.shape[1], np.nan)
    squares = np.diff(values, 2, axis=0)[known] ** 2
    scatter: Floats = np.sqrt(np.average(squares, axis=0, weights=smallest[known] / smallest.max()) / 6)
    return scatter


def confusion_shares(counts: npt.NDArray[Any]) -> Floats:
    """Return P(true | labelled): (..., K, K).

    Args:
        counts: (..., K, K) pixels, [true][labelled].

    Returns:
        [true][labelled]. A phase that labels no counted pixel is taken to be labelled rightly.
    """
    labelled = counts.sum(axis=-2, keepdims=True)
    shares: Floats = np.where(labelled > 0, counts / np.where(labelled > 0, labelled, 1), np.eye(counts.shape[-1]))
    return shares


def adjusted_fractions(counts: npt.NDArray[Any], shares: Floats) -> Floats:
    """Return the error-adjusted fractions of the phases: sum over j of share(j) P(true = i | labelled j).

    Args:
        counts: (..., K, K) pixels, [true][labelled].
        shares: (K,) of the label image.

    Returns:
        (..., K).

    Example:
        >>> adjusted_fractions(np.array([[8, 1], [2, 9]]), np.array([0.5, 0.5])).round(2).tolist()
        [0.45, 0.55]
    """
    fractions: Floats = confusion_shares(counts) @ shares
    return fractions


def gather_evidence(
    slices: Iterable[tuple[int, Labels, Labels]],
    phases: int,
    voxel_nm: tuple[float, float, float],
    number: int = BLOCKS,
) -> Evidence:
    """Count the confusions in the blocks of test slices, which near slices share (see `shared_blocks`).

    Args:
        slices: z, annotation and labels (rows, columns) of the test slices, z ascending; 0 is neither counted.
        phases: number of phases K.
        voxel_nm: voxel size z, y, x.
        number: about so many blocks a slice is divided into.
    """
    step = voxel_nm[0] / voxel_nm[1]
    counted = [(z * step, confusion_blocks(true, labelled, phases, number)) for z, true, labelled in slices]
    return Evidence(shared_blocks(counted, phases), sum(len(blocks.counts) > 0 for _, blocks in counted))


def _reasons(counts: Counts, phase: int, shares: Floats, blocks: int) -> tuple[str, ...]:
    """Return reasons why the interval of a phase may not contain its true fraction."""
    true, labelled, hits = counts[phase].sum(), counts[:, phase].sum(), counts[phase, phase]
    unverified = shares[counts.sum(axis=0) == 0].sum()
    of_all = f"{100 * unverified:.0f} % of the labels have phases that no annotated pixel is labelled as"
    reasons = [of_all] if unverified > MOST_UNVERIFIED else []
    if not true and not labelled:
        return ("the test slices do not contain it, so the accuracy of its labels is unknown", *reasons)
    if not true:
        reasons.append("it is not annotated on the test slices")
    if shares[phase] and not labelled:
        reasons.append(
            "no annotated pixel is labelled as it, so its labels are assumed to be as accurate as all others"
        )
    if blocks < LEAST_BLOCKS:
        reasons.append(f"it occurs in only {blocks} of the annotated blocks; {LEAST_BLOCKS} are needed")
    if true == labelled == hits:
        reasons.append("the test slices show no error, so the interval does not cover errors elsewhere")
    return tuple(reasons)
