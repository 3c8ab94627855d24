"""A finding about a stack."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something odd.

    Args:
        kind: what it is, in one or two words.
        slices: z of the slices that it concerns, the first of them where it lasts; none if it concerns all.
        names: their names.
        detectors: the detector, or two that do not go together; none if it concerns all.
        value: what was measured, as text.
        usual: what is usual there, as text.
        rule: by which rule it is odd.
        remedy: what to do.
        measure: the measure that it is about, if there is one.
    """

    kind: str
    slices: tuple[int, ...]
    names: tuple[str, ...]
    detectors: tuple[str, ...]
    value: str
    usual: str
    rule: str
    remedy: str
    measure: str = ""

    @property
    def place(self) -> str:
        """Which slices of which detector.

        Example:
            >>> Finding("blurred", (3,), ("s_0003",), ("ICE",), "", "", "", "").place
            'slice 3 (s_0003) ICE'
        """
        shown = " and ".join(f"{z} ({name})" for z, name in zip(self.slices, self.names, strict=True))
        slices = f"slice{'s' if len(self.slices) > 1 else ''} {shown}" if shown else "all slices"
        return f"{slices} {' and '.join(self.detectors)}".rstrip()

    def concerns(self, detector: str, measure: str) -> bool:
        """Whether it is about a measure of a detector."""
        return self.measure == measure and detector in self.detectors

    @property
    def line(self) -> str:
        """All of it, in a line."""
        usual = f", usually {self.usual}" if self.usual else ""
        return f"{self.place}: {self.kind}: {self.value}{usual} ({self.rule}); {self.remedy}"
