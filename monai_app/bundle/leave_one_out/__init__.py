"""Every annotated slice of a stack is once the test of a model that was trained on the others."""

from monai_app.bundle.leave_one_out.folds import Fold, folds_of, held_out, is_trained, ready
from monai_app.bundle.leave_one_out.summary import write_summary

__all__ = ["Fold", "folds_of", "held_out", "is_trained", "ready", "write_summary"]
