"""Reliability of a network's confidence on labelled pixels."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn.functional import cross_entropy

BINS = 15
"""Number of confidence bins of equal width, as in Guo et al. 2017 (arXiv 1706.04599)."""

TEMPERATURES = (0.05, 20.0)
"""Ends of the range that a temperature is searched in."""

_STEP = 1 << 20
"""Pixels for which probabilities are computed at a time."""


@dataclass(frozen=True)
class Reliability:
    """Labelled pixels sorted by the confidence that a network has in its label of each, the greatest probability.

    Reliability diagrams: Niculescu-Mizil & Caruana 2005, doi 10.1145/1102351.1102430. The first bin is from 0 to
    1 / `BINS`, the last one ends at 1.

    Attributes:
        pixels: (BINS,) int64, how many.
        right: (BINS,) int64, how many of them have the right label.
        confidence: (BINS,) float64, the sum of their confidence.
    """

    pixels: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]

    @classmethod
    def empty(cls) -> Self:
        """Return that of no pixel."""
        return cls(np.zeros(BINS, np.int64), np.zeros(BINS, np.int64), np.zeros(BINS))

    def __add__(self, other: "Reliability") -> "Reliability":
        """Return that of the pixels of both."""
        return Reliability(self.pixels + other.pixels, self.right + other.right, self.confidence + other.confidence)

    @property
    def ece(self) -> float:
        """The expected calibration error, 0..1; ``nan`` without pixels.

        The mean difference between the confidence of a bin and the share of it that is right, weighted by pixels
        (Naeini et al. 2015, doi 10.1609/aaai.v29i1.9602).
        """
        total = int(self.pixels.sum())
        return float(np.abs(self.right - self.confidence).sum() / total) if total else float("nan")


def reliability(logits: Tensor, classes: Tensor, temperature: float = 1.0) -> Reliability:
    """Sort pixels by confidence.

    Args:
        logits: (pixels, K).
        classes: (pixels,), the true class of each, 0..K-1.
        temperature: that the logits are divided by.
    """
    found = Reliability.empty()
    for some, true in _parts(logits, classes):
        confidence, label = (some / temperature).softmax(1).max(1)
        sure, right = confidence.double().numpy(), (label == true).numpy()
        bins = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
        pixels, hits = np.bincount(bins, minlength=BINS), np.bincount(bins[right], minlength=BINS)
        found += Reliability(pixels, hits, np.asarray(np.bincount(bins, weights=sure, minlength=BINS), np.float64))
    return found


def negative_log_likelihood(logits: Tensor, classes: Tensor, temperature: float = 1.0) -> float:
    """Return the sum over pixels of -log of the probability of the true class, in nats; arguments of `reliability`.

    In float64: near its minimum the sum hardly depends on the temperature, and the rounding of float32, which differs
    from one number of threads to another, would decide its third digit.
    """
    parts = ((some.double() / temperature, true.long()) for some, true in _parts(logits, classes))
    return sum(float(cross_entropy(some, true, reduction="sum")) for some, true in parts)


def fit_temperature(loss: Callable[[float], float]) -> float:
    """Return the temperature with the least loss, between the ends of `TEMPERATURES`.

    Args:
        loss: the negative log likelihood at a temperature. In 1 / temperature it is convex, so it has one minimum.
    """
    low, high = np.log(TEMPERATURES)
    found = minimize_scalar(lambda log: loss(float(np.exp(log))), bounds=(low, high), options={"xatol": 1e-4})
    return float(np.exp(found.x))


def _parts(logits: Tensor, classes: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(logits), _STEP):
        yield logits[start : start + _STEP], classes[start : start + _STEP]
