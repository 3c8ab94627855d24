"""How a model's probabilities were calibrated: the temperature of its weights and its effect."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from monai_app.domain.validation import Strict, validated

CALIBRATION = "calibration"
"""The calibration's key in metadata.json."""


class BeforeAfter(Strict):
    """A score of the probabilities before and after calibration."""

    before: float
    after: float


class Calibration(Strict):
    """The temperature by which a model's logits are divided before the softmax.

    It does not change the labels. Guo et al. 2017, arXiv 1706.04599.

    Attributes:
        weights_sha256: SHA-256 of the weights file that it was fitted for.
        temperature: the number; above 1 the network is overconfident, below 1 underconfident.
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
        """The calibration as a line of text."""
        return (
            f"temperature {self.temperature:.3f} of {self.pixels} validation pixels: calibration error "
            f"{self.ece.before:.4f} before, {self.ece.after:.4f} after"
        )


def calibration_in(metadata: Mapping[str, Any], source: str) -> Calibration | None:
    """Return the calibration in a metadata.json; None if there is none.

    Args:
        metadata: its content.
        source: name of the source, for messages.

    Raises:
        ConfigError: it is invalid.
    """
    if CALIBRATION not in metadata:
        return None
    remedy = f"take {CALIBRATION!r} out: probabilities are not calibrated then"
    return validated(Calibration, metadata[CALIBRATION], f"{source}: {CALIBRATION}", remedy)
