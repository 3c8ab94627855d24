"""Implausible images: noted while slices are streamed, and refused unless the description accepts them."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from monai_app.errors import StackError
from monai_app.stack.ingestion.description import Finding

_LEAST = 64
"""Pixels of a slice; fewer may be equal by chance."""

_SHOWN = 5

_MEANING: Mapping[Finding, tuple[str, str]] = {
    "constant_detectors": ("without any contrast", "was the detector off? Leave it out"),
    "constant_slices": ("of one grey value (was the beam off?)", "leave the slices out"),
    "repeated_slices": ("the same picture twice", "replace them by the right files"),
}


Place = tuple[str, int]
"""A detector's name and a slice."""


class Slices(Protocol):
    """The slices of one detector, such as an `io.Source`."""

    @property
    def names(self) -> Sequence[str]:
        """The name of every slice."""

    def __len__(self) -> int: ...

    def plane(self, index: int, /) -> npt.NDArray[np.integer]:
        """Read one slice: (rows, columns)."""


class Survey:
    """What is noted of the slices of a sample.

    Args:
        detectors: the images, detector name -> slices.

    Attributes:
        constant: per detector, slice -> the one grey value that it consists of.
        repeated: pairs of places with the same picture, the earlier one first.
    """

    def __init__(self, detectors: Mapping[str, Slices]) -> None:
        self._detectors = detectors
        self.constant: dict[str, dict[int, int]] = {name: {} for name in detectors}
        self.repeated: list[tuple[Place, Place]] = []
        self._seen: dict[bytes, Place] = {}

    def see(
        self, detector: str, z: int, plane: npt.NDArray[np.integer], overview: npt.NDArray[np.integer | np.floating]
    ) -> None:
        """Note one slice of a detector.

        Args:
            detector: its name.
            z: the slice.
            plane: (rows, columns).
            overview: the same, made smaller.
        """
        if plane.size < _LEAST:
            return
        if overview.min() == overview.max() and plane.min() == plane.max():
            self.constant[detector][z] = int(plane[0, 0])
            return
        look = hashlib.blake2b(np.ascontiguousarray(overview).data, digest_size=16).digest()
        other, first = self._seen.setdefault(look, (detector, z))
        if (other, first) != (detector, z) and np.array_equal(plane, self._detectors[other].plane(first)):
            self.repeated.append(((other, first), (detector, z)))

    def check(self, accepted: Collection[str], report: Callable[[str], None]) -> None:
        """Tell of what was noted.

        Args:
            accepted: findings that are not errors.
            report: called with those, line by line.

        Raises:
            StackError: naming what is not accepted.
        """
        refused = []
        for finding, shown in self._findings().items():
            what, remedy = _MEANING[finding]
            rest = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
            text = f"{', '.join(shown[:_SHOWN])}{rest}: {what}"
            if finding in accepted:
                report(f"accepted: {text}")
            else:
                refused.append(f"{text}; {remedy}, or confirm it in the description: 'accept: [{finding}]'")
        if refused:
            raise StackError("\n".join(refused))

    def _findings(self) -> dict[Finding, list[str]]:
        whole = [name for name, slices in self.constant.items() if len(slices) == len(self._detectors[name])]
        single = [
            f"{self._name(name, z)} ({value})"
            for name, slices in self.constant.items()
            if name not in whole
            for z, value in slices.items()
        ]
        repeated = [f"{self._name(*first)} = {self._name(*second)}" for first, second in self.repeated]
        found: dict[Finding, list[str]] = {
            "constant_slices": single,
            "constant_detectors": whole,
            "repeated_slices": repeated,
        }
        return {finding: each for finding, each in found.items() if each}

    def _name(self, detector: str, z: int) -> str:
        return f"{detector} {self._detectors[detector].names[z]}"
