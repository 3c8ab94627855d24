"""Studies: models trained under the same conditions and compared with statistics."""

from monai_app.study.claims import Contrast, contrasts_of
from monai_app.study.comparison import Difference, compare
from monai_app.study.design import Design, default_design, read_design
from monai_app.study.execution import run_all
from monai_app.study.outcomes import Outcome, read_outcomes
from monai_app.study.runs import StudyRun, runs_of

__all__ = [
    "Contrast",
    "Design",
    "Difference",
    "Outcome",
    "StudyRun",
    "compare",
    "contrasts_of",
    "default_design",
    "read_design",
    "read_outcomes",
    "run_all",
    "runs_of",
]
