"""What is said of samples like those of the study."""

from typing import Any

import numpy as np

from monai_app.study import Contrast, Difference
from monai_app.study.report.document import difference_row
from monai_app.study.report.over_samples import over_samples, samples_note


def row(*ends: float) -> dict[str, Any]:
    contrast = Contrast("detectors", "both", "one", (("both", "one"),))
    return difference_row(Difference(contrast, 0.02, 0.01, 0.03, -0.01, 0.05, 0.005, 0.005, (), *ends))


def test_the_intervals_stand_in_the_sentence_where_there_are_any() -> None:
    several, one = row(0.004, 0.036, -0.02, 0.06), row(*[np.nan] * 4)
    assert over_samples(several) == ", over samples +0.004 to +0.036 [-0.020 to +0.060]"
    assert over_samples(one) == ""
    assert "similar samples" in samples_note([one, several])
    assert samples_note([one]) == samples_note([]) == ""
