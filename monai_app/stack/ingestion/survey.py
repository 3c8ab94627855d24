"""Pictures that cannot be true: noted while slices are streamed, and refused unless the description accepts them."""

import hashlib
from collections.abc import Callable, Collection, Mapping

import numpy as np
import numpy.typing as npt

from monai_app.errors import StackError
from monai_app.io.sources import Source
from monai_app.stack.ingestion.description import Finding

_LEAST = 64
"""Pixels of a slice; fewer may be equal by chance."""

_SHOWN = 5

_MEANING: Mapping[Finding, tuple[str, str]] = {
    "constant_detectors": ("without any contrast", "was the detector off? Leave it out"),
    "constant_slices": ("of one grey value (was the beam off?)", "leave the slices out"),
    "repeated_slices": ("the same picture twice", "put the right files in their place"),
}


class Survey:
    """What is noted of the slices of a sample.

    Args:
        detectors: the images, detector name -> source.
    """

    def __init__(self, detectors: Mapping[str, Source]) -> None:
        self._detectors = detectors
        self._constant: dict[str, list[str]] = {name: [] for name in detectors}
        self._repeated: list[str] = []
        self._seen: dict[bytes, tuple[str, int]] = {}

    def see(self, detector: str, z: int, plane: npt.NDArray[np.integer], overview: npt.NDArray[np.integer]) -> None:
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
            self._constant[detector].append(f"{self._name(detector, z)} ({plane[0, 0]})")
            return
        look = hashlib.blake2b(np.ascontiguousarray(overview).data, digest_size=16).digest()
        other, first = self._seen.setdefault(look, (detector, z))
        if (other, first) != (detector, z) and np.array_equal(plane, self._detectors[other].plane(first)):
            self._repeated.append(f"{self._name(other, first)} = {self._name(detector, z)}")

    def check(self, accepted: Collection[str], report: Callable[[str], None]) -> None:
        """Tell of what was noted.

        Args:
            accepted: findings that are no error.
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
                refused.append(f"{text}; {remedy}, or say in the description that it is right: 'accept: [{finding}]'")
        if refused:
            raise StackError("\n".join(refused))

    def _findings(self) -> dict[Finding, list[str]]:
        whole = [name for name, slices in self._constant.items() if len(slices) == len(self._detectors[name])]
        single = [each for name, slices in self._constant.items() if name not in whole for each in slices]
        found: dict[Finding, list[str]] = {
            "constant_slices": single,
            "constant_detectors": whole,
            "repeated_slices": self._repeated,
        }
        return {finding: shown for finding, shown in found.items() if shown}

    def _name(self, detector: str, z: int) -> str:
        return f"{detector} {self._detectors[detector].names[z]}"
