"""What every evaluation finds beside the confusion matrix."""

from monai_app.training.evaluation.scored import Section

SECTIONS: tuple[Section, ...] = ()
