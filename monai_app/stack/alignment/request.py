"""What is asked of an alignment."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from monai_app.errors import ConfigError
from monai_app.stack.alignment.drift import KEEPS, Keep
from monai_app.stack.alignment.matching import LEAST
from monai_app.stack.alignment.motion import KINDS, Kind

What = Literal["slices", "detectors", "both"]
WHATS: tuple[What, ...] = get_args(What)


@dataclass(frozen=True)
class Align:
    """What is aligned, and how.

    Args:
        what: "slices" upon each other, "detectors" upon each other, or "both".
        transform: "translation", "rigid" (also a turn) or "affine" (also stretch and shear).
        keep: what of the drift stays, because structure that leans looks the same: its mean step ("line"), its mean
            step over some forty slices ("curve"), or "nothing".
        reference: the detector that the others are moved upon, and on which annotations were painted; the first one
            where None.

    Raises:
        ConfigError: a word that means nothing.
    """

    what: What
    transform: Kind = "translation"
    keep: Keep = "line"
    reference: str | None = None

    def __post_init__(self) -> None:
        """Check the words."""
        for name, words in (("what", WHATS), ("transform", KINDS), ("keep", KEEPS)):
            value = getattr(self, name)
            if value not in words:
                option = "--align" if name == "what" else f"--align-{name}"
                raise ConfigError(f"align: {name} {value!r} is none of {', '.join(words)}; choose one ({option})")

    @property
    def moves_slices(self) -> bool:
        """Whether slices are aligned."""
        return self.what != "detectors"

    @property
    def moves_detectors(self) -> bool:
        """Whether detectors are aligned."""
        return self.what != "slices"

    def check(self, detectors: Sequence[str], slices: int, shape: tuple[int, int], gaps: Collection[int] = ()) -> None:
        """Check that it can be done to a stack.

        Args:
            detectors: their names.
            slices: how many there are.
            shape: (rows, columns).
            gaps: slices before which others are missing, or another series ends.

        Raises:
            ConfigError: it cannot.
        """
        if self.reference is not None and self.reference not in detectors:
            raise ConfigError(
                f"align: reference {self.reference!r} is not a detector; the detectors are {', '.join(detectors)}: "
                "name one (--align-reference)"
            )
        if self.moves_detectors and len(detectors) < 2:
            raise ConfigError(f"align: {detectors[0]} is the only detector, but two are needed; give --align slices")
        if self.moves_slices and slices < 2:
            raise ConfigError("align: there is one slice, but two are needed; give --align detectors")
        if self.moves_slices and gaps:
            ends = sorted({0, slices, *gaps})
            alone = next((start for start, stop in pairwise(ends) if stop - start == 1), None)
            if alone is not None:
                raise ConfigError(
                    f"align: slice {alone} has no neighbour in its series to align with; leave it out, or give "
                    "--align detectors"
                )
        if min(shape) < LEAST:
            raise ConfigError(
                f"align: slices of {shape[0]} x {shape[1]} pixels are too small to compare (at least {LEAST} x "
                f"{LEAST} are needed); leave out --align"
            )
