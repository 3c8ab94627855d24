"""The further parts of a study's results: what was measured beside the scores of the variants."""

from collections.abc import Sequence

from monai_app.stack import Stack
from monai_app.study.design import Design
from monai_app.study.labels.section import labels_section
from monai_app.study.outcomes import Outcome
from monai_app.study.report.section import Section
from monai_app.study.robustness.section import robustness_section
from monai_app.study.runs import StudyRun
from monai_app.study.transfer.measuring import read_transferred
from monai_app.study.transfer.section import transfer_section


def sections_of(
    design: Design, runs: Sequence[StudyRun], outcomes: Sequence[Outcome], stacks: Sequence[Stack]
) -> list[Section]:
    """Return the parts for which a study has measured anything.

    Args:
        design: what is compared.
        runs: those that see all labels.
        outcomes: of all runs that are done.
        stacks: the samples, with their raw images.
    """
    by_name = {stack.store_name: stack for stack in stacks}
    found = (
        labels_section(design, outcomes, [*by_name]),
        transfer_section(design, outcomes, [*read_transferred(runs, stacks)], stacks),
        robustness_section(design, runs, by_name),
    )
    return [each for each in found if each is not None]
