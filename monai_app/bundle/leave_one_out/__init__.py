"""Leave-one-slice-out evaluation: every annotated slice is the test slice of a model trained on the others."""

from monai_app.bundle.leave_one_out.folds import Fold, folds_of, held_out, is_trained, ready
from monai_app.bundle.leave_one_out.summary import write_summary

__all__ = ["Fold", "folds_of", "held_out", "is_trained", "ready", "write_summary"]
