"""Scores of trained weights on held-out slices: computed slice by slice, kept apart by stack, pooled over all."""

from monai_app.training.evaluation.documents import is_evaluation, read_document
from monai_app.training.evaluation.folders import (
    POOLED,
    StackScores,
    pooled_path,
    read_stack_scores,
    write_evaluation,
    write_leave_one_out,
)
from monai_app.training.evaluation.scored import EvaluatedSlice, Section, SliceScores
from monai_app.training.evaluation.sections import (
    SECTIONS,
    Boundaries,
    block_counts,
    boundary_section,
    interval_section,
)
from monai_app.training.evaluation.writer import ScoreWriter

__all__ = [
    "POOLED",
    "SECTIONS",
    "Boundaries",
    "EvaluatedSlice",
    "ScoreWriter",
    "Section",
    "SliceScores",
    "StackScores",
    "block_counts",
    "boundary_section",
    "interval_section",
    "is_evaluation",
    "pooled_path",
    "read_document",
    "read_stack_scores",
    "write_evaluation",
    "write_leave_one_out",
]
