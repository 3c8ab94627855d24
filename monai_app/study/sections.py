"""The further parts of a study's results: what was measured beside the scores of the variants."""

from collections.abc import Mapping, Sequence

from monai_app.stack import Stack
from monai_app.study.design import Design
from monai_app.study.labels.section import labels_section
from monai_app.study.outcomes import Outcome
from monai_app.study.report.section import Section
from monai_app.study.robustness.section import robustness_section
from monai_app.study.runs import StudyRun


def sections_of(
    design: Design, runs: Sequence[StudyRun], outcomes: Sequence[Outcome], stacks: Mapping[str, Stack]
) -> list[Section]:
    """Return the parts for which a study has measured anything.

    Args:
        design: what is compared.
        runs: those that see all labels.
        outcomes: of all runs that are done.
        stacks: name of a sample's store -> the stack, with its raw images.
    """
    found = (labels_section(design, outcomes), robustness_section(design, runs, stacks))
    return [each for each in found if each is not None]
