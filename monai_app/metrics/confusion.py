"""Ignite metrics: the accumulating confusion matrix and what is derived from it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from ignite.metrics import ConfusionMatrix, MetricsLambda

from monai_app.metrics.scores import mean_iou
from monai_app.transforms import class_indices


def labelled_pairs(output: Sequence[dict[str, Any]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn a MONAI engine's decollated output into what ignite's ``ConfusionMatrix`` takes.

    Args:
        output: items with ``pred`` logits (K, H, W) and ``label`` annotation (1, H, W), 0 unlabelled, 1..K.

    Returns:
        Logits (N, K) and class indices (N,) of the N labelled pixels.
    """
    pairs = [(torch.as_tensor(item["pred"]), torch.as_tensor(item["label"])[0]) for item in output]
    logits = torch.cat([pred[:, label > 0].T for pred, label in pairs])
    return logits, class_indices(torch.cat([label[label > 0] for _, label in pairs]))


def phase_confusion(phases: int) -> ConfusionMatrix:
    """Make the confusion matrix of K phases over labelled pixels, ``[true][predicted]``.

    Counts are integers and accumulate over a run and over all processes.
    """
    return ConfusionMatrix(num_classes=phases, output_transform=labelled_pairs)


def count_pixels(
    true: npt.NDArray[np.integer], predicted: npt.NDArray[np.integer], phases: int
) -> npt.NDArray[np.int64]:
    """Count the labelled pixels of a slice, as `phase_confusion` does: (K, K), ``[true][predicted]``.

    Args:
        true: (rows, columns), 0 unlabelled, 1..K.
        predicted: (rows, columns), 1..K.
        phases: number of phases K.
    """
    labelled = true > 0
    pairs = (true[labelled].astype(np.int64) - 1) * phases + predicted[labelled] - 1
    return np.bincount(pairs, minlength=phases**2).reshape(phases, phases).astype(np.int64)


def mean_iou_metric(confusion: ConfusionMatrix, *, annotated_only: bool = True) -> MetricsLambda:
    """Provide the mean IoU as a separate metric: the key metric of validation and evaluation.

    Args:
        confusion: the confusion matrix.
        annotated_only: ignore phases that are not annotated, as validation does. If they counted, the first pixel
            predicted as one would take a K-th off the metric, and the choice of the best weights would hang on stray
            pixels.
    """
    return MetricsLambda(lambda matrix: mean_iou(matrix.cpu().numpy(), annotated_only), confusion)
