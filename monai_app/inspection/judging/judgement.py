"""Judging measures: anomalies as findings."""

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from monai_app.inspection.images import Images
from monai_app.inspection.judging import rules
from monai_app.inspection.judging.findings import Finding
from monai_app.inspection.judging.order import find_disorder
from monai_app.inspection.judging.rules import OddRule
from monai_app.inspection.judging.statistics import odd_ones, scatter, steps
from monai_app.inspection.measuring.table import MEASURES, Table, Values
from monai_app.stack.ingestion.survey import Survey

_SHIFT = "by {:.1f} px in y, {:.1f} px in x"

_ORDER: Mapping[str, tuple[str, str, str]] = {
    "swapped": (
        "correlation {:.2f} as they are, {:.2f} exchanged",
        "more similar when exchanged",
        "look at both: if their files have each other's names, exchange them",
    ),
    "misplaced": (
        "correlation {:.2f} with the slice before, {:.2f} with the one behind",
        "less similar to its neighbours than they are to each other",
        "check it: move it to its place, or leave it out if it is damaged",
    ),
    "nearly repeated": (
        "correlation {:.3f}",
        "far more similar than neighbours are",
        "was nothing milled between them, or was one saved twice? Leave one out",
    ),
    "shifted": (_SHIFT, "shifted and back, beyond the drift of the stack", "align the slices"),
    "jump": (_SHIFT + ", with all that follow", "beyond the stack's own drift", "align the slices"),
}
"""Kind of disorder -> how its values are shown, rule and remedy."""

_PAIR = ("agreement", "offset_fit")
"""Measures of a detector together with the first one."""


def judge(images: Images, table: Table, survey: Survey) -> tuple[Finding, ...]:
    """Find anomalies in a table of measures.

    Args:
        images: the stack.
        table: what was measured.
        survey: what was noted beside.

    Returns:
        What concerns all slices of a detector first, then slice by slice.
    """
    judges = [_Judge(images, table, survey, name) for name in table.detectors]
    found = [finding for each in judges for finding in each.findings()]
    if images.missing:
        names = f"slices {images.missing} are missing"
        remedy = "add them, or give their meaning in the description (numbers: gaps)"
        found.append(Finding("gap", (), (), (), names, "", "numbers in the names of files", remedy))
    return tuple(sorted(found, key=lambda finding: finding.slices))


def _blank_slices(table: Table, survey: Survey, detector: str) -> set[int]:
    limit = rules.BLANK * table.usual(detector, "contrast")
    return {*np.flatnonzero(table.values[detector]["contrast"] <= limit).tolist(), *survey.constant[detector]}


class _Judge:
    """Judges one detector."""

    def __init__(self, images: Images, table: Table, survey: Survey, detector: str) -> None:
        self._images, self._table, self._survey, self._detector = images, table, survey, detector
        self._blank = _blank_slices(table, survey, detector)
        self._blank_in_pair = self._blank | _blank_slices(table, survey, table.detectors[0])
        self._copies = {z: first for first, (name, z) in survey.repeated if name == detector}

    def findings(self) -> Iterator[Finding]:
        """All that is odd about the detector."""
        if len(self._survey.constant[self._detector]) == self._table.slices > 1:
            yield self._about(
                "blank", (), "one grey value", "", "no contrast at all", "was the detector off? Leave it out"
            )
            return
        yield from self._single()
        for rule in rules.ODD:
            yield from self._odd(rule)
        for rule in rules.STEPS:
            yield from self._steps(rule)
        yield from self._disorder()
        yield from self._clipped()
        yield from self._offset()

    def _single(self) -> Iterator[Finding]:
        contrast, usual = MEASURES["contrast"], self._table.usual(self._detector, "contrast")
        for z in sorted(self._blank):
            value = f"contrast {contrast.show(self._values('contrast')[z])}"
            rule = f"less than {rules.BLANK:.0%} of the usual contrast"
            yield self._about(
                "blank", (z,), value, contrast.show(usual), rule, "was the beam off? Leave the slice out", "contrast"
            )
        for z, (detector, first) in self._copies.items():
            what = "every pixel" if self._table.pixel == 1 else "the overview"
            value = f"{what} is that of slice {first} ({self._images.names[first]}) {detector}"
            yield self._about("repeated", (z,), value, "", "the same picture", "put the right file in its place")

    def _odd(self, rule: OddRule) -> Iterator[Finding]:
        measure, values = MEASURES[rule.measure], self._without(self._blank_of(rule.measure))[rule.measure]
        for z, usual in odd_ones(values, self._table.series(), self._least(rule)):
            if rule.sign * (values[z] - usual) >= 0:
                change = measure.show(rule.least) if rule.absolute else f"{rule.least:.0%}"
                text = f"{measure.short} {measure.show(values[z])}"
                yield self._about(
                    rule.kind,
                    (z,),
                    text,
                    measure.show(usual),
                    f"more than {change} away from both sides",
                    rule.remedy,
                    rule.measure,
                )

    def _steps(self, rule: OddRule) -> Iterator[Finding]:
        measure, values = MEASURES[rule.measure], self._without(self._blank)[rule.measure]
        for z, before, after in steps(values, self._table.series(), self._least(rule)):
            text = f"{measure.short} {measure.show(after)} from here on, {measure.show(before)} before"
            yield self._about(
                rule.kind, (z,), text, "", f"more than {rule.least:.0%} and lasting", rule.remedy, rule.measure
            )

    def _disorder(self) -> Iterator[Finding]:
        for each in find_disorder(self._table, self._detector, self._blank | set(self._copies)):
            shown, rule, remedy = _ORDER[each.kind]
            text = shown.format(*each.value)
            usual = "" if np.isnan(each.usual) else f"{each.usual:.2f}"
            yield self._about(each.kind, each.slices, text, usual, rule, remedy, "similarity")

    def _clipped(self) -> Iterator[Finding]:
        for rule in rules.ODD:
            share = self._table.usual(self._detector, rule.measure)
            if rule.measure.startswith("clipped") and share > rules.CLIPPED:
                text = f"{share:.1%} of the median slice's pixels"
                yield self._about(rule.kind, (), text, "", f"more than {rules.CLIPPED:.0%}", rule.remedy, rule.measure)

    def _offset(self) -> Iterator[Finding]:
        """How far the detector's pictures lie from the first one's; the detectors of a stack have one offset."""
        values, remedy = self._without(self._blank_in_pair), "align the detectors"
        offset = np.stack([values["offset_y"], values["offset_x"]])
        offset[:, ~(values["offset_fit"] >= rules.OFFSET_FIT)] = np.nan
        if (~np.isnan(offset[0])).sum() < 2:
            return
        middle = np.nanmedian(offset, axis=1, keepdims=True)
        spread = [scatter(line) for line in offset - middle]
        if max(spread) > rules.OFFSET_SCATTER:
            return
        down, along = middle[:, 0]
        if np.hypot(down, along) >= rules.OFFSET_PX:
            text = f"{down:.1f} px in y, {along:.1f} px in x"
            yield self._about("offset", (), text, "", f"{rules.OFFSET_PX:g} px or more", remedy, "offset_fit")
        limits = [max(rules.SHIFT_PX, rules.SHIFT_DEVIATIONS * each) for each in spread]
        for z in np.flatnonzero((np.abs(offset - middle) > np.array(limits)[:, None]).any(axis=0)).tolist():
            text = f"{offset[0, z]:.1f} px in y, {offset[1, z]:.1f} px in x"
            usual = f"{down:.1f} and {along:.1f} px"
            rule = f"more than {rules.SHIFT_PX:g} px away from the usual"
            yield self._about("offset", (z,), text, usual, rule, remedy, "offset_fit")

    def _blank_of(self, measure: str) -> set[int]:
        return self._blank_in_pair if measure in _PAIR else self._blank

    def _values(self, measure: str) -> Values:
        return self._table.values[self._detector][measure]

    def _without(self, left_out: Collection[int]) -> dict[str, Values]:
        """The values of all measures, NaN for some slices."""
        kept = {name: values.copy() for name, values in self._table.values[self._detector].items()}
        for values in kept.values():
            values[list(left_out)] = np.nan
        return kept

    def _least(self, rule: OddRule) -> float:
        """The least change that matters."""
        return rule.least if rule.absolute else rule.least * abs(self._table.usual(self._detector, rule.measure))

    def _about(
        self, kind: str, slices: tuple[int, ...], value: str, usual: str, rule: str, remedy: str, measure: str = ""
    ) -> Finding:
        names = tuple(self._images.names[z] for z in slices)
        detectors = (*((self._table.detectors[0],) if measure in _PAIR else ()), self._detector)
        return Finding(kind, slices, names, detectors, value, usual, rule, remedy, measure)
