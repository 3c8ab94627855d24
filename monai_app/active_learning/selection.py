"""Which slice to annotate next: one where the model is uncertain and that differs from annotated ones.

Uncertainty alone picks the same difficulty again and again, and the slice farthest from all that is labelled (k-center
greedy: Gonzalez 1985, doi 10.1016/0304-3975(85)90224-5; as a core-set: Sener and Savarese 2018, doi
10.48550/arXiv.1708.00489) is one at an end of the stack, which stands for few others. So, as in suggestive annotation
(Yang et al. 2017, doi 10.1007/978-3-319-66179-7_46), the slice is proposed that stands for the most of what the model
is unsure of. With ``d(s)`` the dissimilarity of slice s to the nearest labelled slice, annotating c takes away::

    gain(c) = sum over all slices s of  uncertainty(s) * (d(s)^2 - min(d(s), d(s, c))^2)

Squares let a slice that is like no other count as much as many that are a little unlike. Taking the greatest gain again
and again is within a factor 1 - 1/e of the best choice (Nemhauser et al. 1978, doi 10.1007/BF01588971).

The dissimilarity of slices a and b is made of how far apart they are and how unlike they look::

    d(a, b)^2 = min(1, |z_a - z_b| / reach)^2 + max(0, look(a, b) - look of neighbours)

``look`` is the mean square difference of their features in units of each feature's spread over the stack, 1 for two
slices taken at random. Neighbours are nearly copies: what three quarters of them differ by at most is noise and
flicker and is taken off.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

from monai_app.active_learning.slice_scores import SliceScore
from monai_app.domain.region import Rect
from monai_app.errors import ConfigError

_REACH = 2
"""The reach is the length of the stack divided by this."""

_NOISE = 0.75
"""Share of the pairs of neighbours that differ by noise alone; the others may be where the stack changes."""

_BEFORE_TESTING = 3
"""Slices to train on that are labelled before one is proposed that tests."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Proposal:
    """The slice to annotate next.

    Attributes:
        z: the slice.
        gain: what annotating it takes away, as a share of what there is before; the greatest of all candidates. None
            for a slice that tests, which is not chosen by it.
        uncertainty: of the model on this slice, 0..1; None without a model.
        distance: dissimilarity to the nearest labelled slice; None if nothing is labelled.
        nearest: that slice.
        region: the rows and columns with the highest uncertainty; None without a model.
    """

    z: int
    gain: float | None = None
    uncertainty: float | None = None
    distance: float | None = None
    nearest: int | None = None
    region: Rect | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON knows it."""
        return {**asdict(self), "region": self.region and self.region.to_json()}


def propose(
    scores: Mapping[int, SliceScore],
    labelled: Collection[int] = (),
    candidates: Collection[int] | None = None,
    reach: float | None = None,
) -> Proposal:
    """Propose the slice to annotate next.

    It is the one with the greatest gain, see the head of this module. Where there is no model yet, all slices count as
    equally uncertain. Where nothing is labelled, it is the medoid, the slice that is the most like all others. Of
    equals it is the first. A neighbour of a labelled slice is proposed only where nothing else is left.

    Args:
        scores: z -> its score; of candidates, of what is labelled, and of all that the slice is to stand for.
        labelled: z of the slices that are annotated.
        candidates: z of the slices to choose from; all that are not labelled where None.
        reach: slices beyond which the distance along z does not grow; half of the stack where None.

    Raises:
        ConfigError: nothing is left to choose from, a slice has no score, or the reach is not above 0.
    """
    known = sorted(set(labelled))
    chosen = _candidates(scores, known, scores if candidates is None else candidates)
    order = sorted(scores)
    place = {z: row for row, z in enumerate(order)}
    unlike = dissimilarity([scores[z] for z in order], reach)
    to_known = unlike[:, [place[z] for z in known]]
    before = to_known.min(axis=1) if known else np.full(len(order), unlike.max(initial=1.0))
    weights = _uncertainty([scores[z] for z in order]) if known else np.ones(len(order))
    gains = _gains(weights, before, unlike[:, [place[z] for z in chosen]])
    # What differs by rounding is equal, so that the first one is taken on every machine.
    best = int(np.flatnonzero(gains >= gains.max() * (1 - 1e-9))[0])
    found, row = scores[chosen[best]], place[chosen[best]]
    distance, nearest = (float(before[row]), known[int(to_known[row].argmin())]) if known else (None, None)
    return Proposal(found.z, float(gains[best]), found.uncertainty, distance, nearest, found.region)


def next_slice(
    scores: Mapping[int, SliceScore],
    offered: Collection[int],
    trained: Collection[int],
    tested: Collection[int],
    reserved: Collection[int] = (),
) -> Proposal | None:
    """Propose the slice to annotate next, to train on or to test on.

    Slices that are kept for testing are proposed when three slices to train on are labelled: they show how good the
    model is, and labelling them does not make other slices less informative.

    Args:
        scores: see `propose`.
        offered: z of the slices that may be annotated.
        trained: z of those that are annotated to train on.
        tested: z of those that are annotated to test on.
        reserved: z of those that are kept for testing, annotated or not.

    Returns:
        The slice; None if all are annotated.

    Raises:
        ConfigError: a slice has no score.
    """
    to_test = set(offered) & set(reserved) - set(tested)
    to_train = set(offered) - {*trained, *tested, *reserved}
    if to_test and (len(trained) >= _BEFORE_TESTING or not to_train):
        return Proposal(min(to_test))
    return propose(scores, trained, to_train) if to_train else None


def _candidates(scores: Mapping[int, SliceScore], labelled: Sequence[int], candidates: Collection[int]) -> list[int]:
    chosen = sorted(set(candidates) - set(labelled))
    if not chosen:
        raise ConfigError(
            "all slices are labelled, so there is none to propose; correct labels instead, or add candidates"
        )
    missing = sorted({*chosen, *labelled} - set(scores))
    if missing:
        raise ConfigError(f"slice {missing[0]} has no score; score it before a slice is proposed")
    # A neighbour of a labelled slice is nearly a copy, whatever noise makes of its features: it comes last.
    return [z for z in chosen if {z - 1, z + 1}.isdisjoint(labelled)] or chosen


def _gains(weights: Floats, before: Floats, unlike: Floats) -> Floats:
    """Gain of every candidate as a share of what there is before; ``unlike`` is (slices, candidates)."""
    after = np.minimum(before[:, None], unlike)
    gains: Floats = weights @ (before[:, None] ** 2 - after**2)
    total = float(weights @ before**2)
    return gains / total if total else gains


def dissimilarity(scores: Sequence[SliceScore], reach: float | None = None) -> Floats:
    """Return how unlike slices are, (n, n), 0 on the diagonal; see the head of this module.

    Raises:
        ConfigError: features of different lengths, or a reach that is not above 0.
    """
    if len({(len(score.appearance), len(score.fractions)) for score in scores}) > 1:
        raise ConfigError("the scores of slices have different features; score all slices in the same way")
    z = np.array([score.z for score in scores], np.float64)
    if reach is None:
        reach = max(1.0, float(np.ptp(z)) / _REACH)
    if reach <= 0:
        raise ConfigError(f"reach {reach}: must be above 0 slices")
    apart = np.minimum(1, np.abs(z[:, None] - z) / reach)
    result: Floats = np.sqrt(apart**2 + _look(z, np.array([score.features for score in scores], np.float64)))
    return result


def _look(z: Floats, features: Floats) -> Floats:
    """(n, features) to squared differences (n, n), of which the mean over all pairs is 1 before noise is taken off."""
    spread = features.std(axis=0)
    # What is the same in all slices but for rounding says nothing.
    varied = features[:, spread > 1e-9] / spread[spread > 1e-9]
    if varied.shape[1] == 0:
        return np.zeros((len(features), len(features)))
    squares: Floats = cdist(varied, varied, "sqeuclidean") / (2 * varied.shape[1])  # two draws: twice the variance
    order = np.argsort(z)
    noise = float(np.quantile(squares[order[:-1], order[1:]], _NOISE))
    return np.maximum(0, squares - noise)


def _uncertainty(scores: Sequence[SliceScore]) -> Floats:
    known = [score.uncertainty for score in scores]
    if any(value is None for value in known):
        return np.ones(len(scores))
    return np.array(known, np.float64)
