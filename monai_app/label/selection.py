"""Which slice to annotate next: where the model is unsure, and unlike what is annotated already.

Uncertainty alone picks the same difficulty again and again, so it is joined with the distance to what is labelled, as
in suggestive annotation (Yang et al. 2017, doi 10.1007/978-3-319-66179-7_46). The distance is that of a core-set (Sener
and Savarese 2018, doi 10.48550/arXiv.1708.00489): the next slice is the farthest from its nearest labelled one, which
is k-center greedy (Gonzalez 1985, doi 10.1016/0304-3975(85)90224-5) where there is no model yet.

The dissimilarity of slices a and b is::

    min(1, |z_a - z_b| / reach) * (1 + look)

``look`` is the root mean square difference of their features in units of each feature's spread over the stack, about 1
for two slices taken at random. Neighbours are nearly copies, which noise and flicker in the features would hide: so the
distance along z is a factor. Beyond ``reach`` it does not grow any more; what a slice looks like then decides.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monai_app.errors import ConfigError
from monai_app.label.slice_scores import Box, SliceScore

_REACH = 4
"""The reach is the length of the stack divided by this."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Proposal:
    """The slice to annotate next.

    Attributes:
        z: the slice.
        score: what it was chosen by; the greatest of all candidates.
        uncertainty: how unsure the model is in it, 0..1; None where there is no model.
        distance: dissimilarity to the nearest labelled slice; None where nothing is labelled.
        nearest: that slice.
        region: the rows and columns in which the model is the most unsure, each as (first, end); None for no model.
    """

    z: int
    score: float
    uncertainty: float | None
    distance: float | None
    nearest: int | None
    region: Box | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON knows it."""
        return asdict(self)


def propose(
    scores: Mapping[int, SliceScore],
    labelled: Collection[int] = (),
    candidates: Collection[int] | None = None,
    reach: float | None = None,
) -> Proposal:
    """Propose the slice to annotate next.

    With a model it is the one with the greatest product of uncertainty and distance to what is labelled: a slice twice
    as unsure is worth twice the distance. Without a model it is the farthest. Where nothing is labelled it is the
    medoid, the slice that is the most like all others. Of equals it is the first.

    Args:
        scores: z -> its score; of the candidates, of what is labelled, and of what the slice should stand for.
        labelled: z of the slices that are annotated.
        candidates: z of the slices to choose from; all that are not labelled where None.
        reach: slices beyond which the distance along z does not grow; a quarter of the stack where None.

    Raises:
        ConfigError: nothing is left to choose from, a slice has no score, or the reach is not above 0.
    """
    chosen = sorted(set(scores if candidates is None else candidates) - set(labelled))
    if not chosen:
        raise ConfigError("no slice is left to propose: all are labelled; correct labels instead, or add candidates")
    missing = sorted({*chosen, *labelled} - set(scores))
    if missing:
        raise ConfigError(f"slice {missing[0]} has no score; score it too before a slice is proposed")
    order = sorted(scores)
    unlike = dissimilarity([scores[z] for z in order], reach)
    rows = [order.index(z) for z in chosen]
    if not labelled:
        typical = -unlike[rows].mean(axis=1)
        best = int(typical.argmax())
        return _proposal(scores[chosen[best]], float(typical[best]), None, None)
    known = sorted(set(labelled))
    to_known = unlike[np.ix_(rows, [order.index(z) for z in known])]
    distance, nearest = to_known.min(axis=1), to_known.argmin(axis=1)
    values = distance * _uncertainty([scores[z] for z in chosen])
    best = int(values.argmax())
    return _proposal(scores[chosen[best]], float(values[best]), float(distance[best]), known[int(nearest[best])])


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
    result: Floats = apart * (1 + _look(np.array([score.features for score in scores], np.float64)))
    return result


def _look(features: Floats) -> Floats:
    """(n, features) to differences (n, n), scaled so that the mean square over all pairs is 1."""
    spread = features.std(axis=0)
    # What is the same in all slices but for rounding says nothing.
    varied = features[:, spread > 1e-9] / spread[spread > 1e-9]
    if varied.shape[1] == 0:
        return np.zeros((len(features), len(features)))
    squares = np.square(varied[:, None] - varied).mean(axis=2)
    root: Floats = np.sqrt(squares / 2)  # two draws differ by twice the variance
    return root


def _uncertainty(scores: Sequence[SliceScore]) -> Floats:
    known = [score.uncertainty for score in scores]
    if any(value is None for value in known):
        return np.ones(len(scores))
    return np.array(known, np.float64)


def _proposal(score: SliceScore, value: float, distance: float | None, nearest: int | None) -> Proposal:
    return Proposal(score.z, value, score.uncertainty, distance, nearest, score.region)
