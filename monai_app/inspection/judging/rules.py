"""The rules for findings with their thresholds: everything that is a matter of judgement is here.

A slice is compared with `NEIGHBOURS` slices on either side within its series without gaps. It is odd if it differs
from the medians of both sides, in the same direction, by more than the least change that matters and by more than
`DEVIATIONS` of the stack's own scatter, so that a stack whose slices all differ is not flagged throughout. Where a
measure changes and stays so, that is a step and not an odd slice.
"""

from dataclasses import dataclass

from monai_app.stack.alignment.estimation import APART_PX

NEIGHBOURS = 3
"""Slices on either side: a median of three ignores one more bad slice there."""

DEVIATIONS = 4.0
"""Robust standard deviations (1.4826 MAD of the differences between neighbours). Both sides must be exceeded, so that a
normal scatter gives less than one false alarm in 100,000 slices."""

AT_ENDS = 1.5
"""The first and last slice of a series have one side only: they must differ by so much more."""


@dataclass(frozen=True)
class OddRule:
    """When a slice is odd by one measure.

    Args:
        kind: what it is called.
        measure: by which measure.
        sign: +1 if only higher values are odd, -1 if only lower ones, 0 for both.
        least: the least change that matters, as a share of the usual value; of a measure with `absolute` as it is.
        absolute: whether ``least`` is in units of the measure.
        remedy: what to do.
    """

    kind: str
    measure: str
    sign: int
    least: float
    remedy: str
    absolute: bool = False


ODD = (
    # Detectors flicker by some per cent from slice to slice (2 % in the simulator), which augmentation covers.
    OddRule(
        "brightness",
        "mean",
        0,
        0.1,
        "check it: did the detector's settings change, or did it charge? Record it again or leave it out",
    ),
    OddRule(
        "contrast",
        "contrast",
        0,
        0.2,
        "check it: did the detector's settings change, or is something in front? Record it again or leave it out",
    ),
    # A Gaussian of 1 pixel on a sharp image lowers the measure by a third to a half.
    OddRule("blurred", "focus", -1, 0.25, "it is out of focus: leave it out, and do not annotate it"),
    # Independent of the structure: the simulator's slices differ by 1 to 2 %, ISBI's by up to 10 %.
    OddRule(
        "noise",
        "noise",
        0,
        0.3,
        "less noise means a smoothed or compressed image, more a shorter dwell time: use the recorded image",
    ),
    # As much again as realistic curtains of the simulator's in-chamber detector have (7 %).
    OddRule(
        "curtaining",
        "curtaining",
        1,
        0.06,
        "check it: leave it out if structure is hidden; otherwise annotate a similar slice",
        absolute=True,
    ),
    # Where 1 % is clipped, the brightest or darkest phase has lost its texture.
    OddRule(
        "clipped dark",
        "clipped_low",
        1,
        0.01,
        "record with less contrast or more brightness; clipped grey values cannot be recovered",
        True,
    ),
    OddRule(
        "clipped bright",
        "clipped_high",
        1,
        0.01,
        "record with less contrast or brightness; clipped grey values cannot be recovered",
        True,
    ),
    OddRule(
        "detectors disagree",
        "agreement",
        -1,
        0.4,
        "they show different structures there: check whether both files belong to the same slice",
    ),
)

STEPS = (
    OddRule("brightness changes", "mean", 0, 0.15, "annotate slices on both sides, so that the model knows both"),
    OddRule("contrast changes", "contrast", 0, 0.25, "annotate slices on both sides, so that the model knows both"),
    OddRule("noise changes", "noise", 0, 0.3, "annotate slices on both sides, so that the model knows both"),
)
"""Measures that change at a slice and stay so: `least` is the change of the medians of both sides."""

BLANK = 0.1
"""A slice with less than this share of the usual contrast shows nothing."""

CLIPPED = 0.03
"""Clipped share of the median slice from which a detector is reported: its darkest or brightest phase is cut off."""

REPEATED = 0.2
"""Two neighbours are nearly the same picture if their correlation lacks less than this share of what is usual to 1."""

OUT_OF_ORDER = 0.4
"""How much more alike slices must be when put into another order, as a share of what one slice of distance costs."""

CHANCE = 0.75
"""What a slice of distance costs must be so many robust standard deviations, or the slices are not neighbours: for
unrelated pictures it is about none, for those of ISBI 2012 four, and less where many slices are in disorder."""

SHIFT_PX = 4.0
"""The least shift between neighbours that matters: microscopes drift by about a pixel a slice."""

SHIFT_DEVIATIONS = 6.0
"""Robust standard deviations of a shift: drift is a random walk, whose steps are normal."""

TRUSTED = 0.5
"""A shift is believed if the slices correlate at it by this share of what is usual."""

OFFSET_PX = APART_PX
"""Offset of two detectors that matters: what the ingestion warns of too."""

OFFSET_FIT = 0.2
"""Correlation of the edges of two detectors from which their offset is believed; unrelated images have about 0.1."""

OFFSET_SCATTER = 1.5
"""Robust standard deviation of the offsets of all slices, pixels, up to which they are believed: it is one offset."""
