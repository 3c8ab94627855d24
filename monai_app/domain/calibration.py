"""How a model's probabilities were calibrated: the temperature of its weights, and what it was worth."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from monai_app.domain.validation import Strict, validated

CALIBRATION = "calibration"
"""The calibration's key in metadata.json."""


class BeforeAfter(Strict):
    """A number of the uncalibrated probabilities and of the calibrated ones."""

    before: float
    after: float


class Calibration(Strict):
    """The temperature that a model's logits are divided by before the softmax makes probabilities of them.

    Labels do not change by it. Guo et al. 2017, arXiv 1706.04599.

    Attributes:
        weights_sha256: SHA-256 of the file of weights that it was fitted for.
        temperature: the number; above 1 the network is too sure of itself, below 1 not sure enough.
        pixels: labelled validation pixels that it was fitted on.
        nll: negative log likelihood of these pixels' phases, nats a pixel.
        ece: expected calibration error on these pixels, 0..1.
    """

    weights_sha256: str
    temperature: Annotated[float, Field(gt=0)]
    pixels: Annotated[int, Field(gt=0)]
    nll: BeforeAfter
    ece: BeforeAfter

    @property
    def text(self) -> str:
        """The calibration in a line."""
        return (
            f"temperature {self.temperature:.3f} of {self.pixels} validation pixels: calibration error "
            f"{self.ece.before:.4f} before, {self.ece.after:.4f} after"
        )


def calibration_in(metadata: Mapping[str, Any], source: str) -> Calibration | None:
    """Return the calibration that a metadata.json holds; None where it holds none.

    Args:
        metadata: its content.
        source: what it was read from, for messages.

    Raises:
        ConfigError: it breaks a rule.
    """
    if CALIBRATION not in metadata:
        return None
    remedy = f"take {CALIBRATION!r} out: probabilities are not calibrated then"
    return validated(Calibration, metadata[CALIBRATION], f"{source}: {CALIBRATION}", remedy)
