"""Predictions of a study's runs on any images."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from monai_app.bundle.model import load_model
from monai_app.device.choose import chosen_device
from monai_app.domain.region import Rect
from monai_app.inference.predict import Predictor
from monai_app.stack import SlabSource
from monai_app.study.baselines.cleaned_images import CleanedImages
from monai_app.study.baselines.cleaned_stack import cleaning_of
from monai_app.study.baselines.process import refit
from monai_app.study.runs import StudyRun

Labels = npt.NDArray[np.uint8]

SlicePredictor = Callable[[SlabSource, int], Labels]
"""Called with images that have the run's detectors and a slice z: labels 1..K of the slice, (rows, columns)."""


def slice_predictor(run: StudyRun) -> SlicePredictor:
    """Return what labels slices as a run that is done does; its weights are loaded once.

    Networks label as ``monai-app segment`` does. Other methods learn again from the choices that their run recorded,
    which takes a forest seconds.

    Args:
        run: a run that is done.

    Raises:
        ConfigError: the run folder is damaged.
    """
    return _network(run) if run.variant.is_network else _baseline(run)


def as_seen(run: StudyRun, images: SlabSource) -> SlabSource:
    """Return raw images as a run sees them: where its variant sees cleaned ones, cleaned as those it was trained on."""
    return CleanedImages(images, cleaning_of(run.stack)) if run.variant.cleaned else images


def _network(run: StudyRun) -> SlicePredictor:
    predictor = Predictor(load_model(run.folder), chosen_device())

    def predict(source: SlabSource, z: int) -> Labels:
        ((_, planes),) = predictor.predict(source, [z])
        return planes["labels"]

    return predict


def _baseline(run: StudyRun) -> SlicePredictor:
    fitted, detectors = refit(run.stack, run.variant, run.seed, run.folder), run.variant.detectors_of(run.stack)

    def predict(source: SlabSource, z: int) -> Labels:
        return fitted.predict(source.read_slab(z, detectors, run.variant.slices), Rect.whole(source.shape))

    return predict
