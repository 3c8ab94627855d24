"""The functions that ``monai_app`` exports and the commands call.

They take paths as ``Path`` or ``str``, and stacks as paths or opened. They return objects that notebooks can display,
and raise `AppError`.

Example:
    >>> import monai_app
    >>> stack = monai_app.ingest("sample.yaml", "sample.ome.zarr")     # doctest: +SKIP
    >>> run = monai_app.train(stack, "runs/unet", epochs=40)            # doctest: +SKIP
    >>> monai_app.evaluate(stack, run).mean_iou                         # doctest: +SKIP
    0.84
"""

from monai_app.api.evaluation import Scores, evaluate
from monai_app.api.images import segment_images
from monai_app.api.results import Quantities, quantify, report
from monai_app.api.segmentation import Labels, segment
from monai_app.api.stacks import annotate, ingest
from monai_app.api.training import Run, train
from monai_app.errors import AppError
from monai_app.stack import Stack

__all__ = [
    "AppError",
    "Labels",
    "Quantities",
    "Run",
    "Scores",
    "Stack",
    "annotate",
    "evaluate",
    "ingest",
    "quantify",
    "report",
    "segment",
    "segment_images",
    "train",
]
