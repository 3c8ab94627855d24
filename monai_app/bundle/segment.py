"""Segment a stack as ``inference.yaml`` would, without evaluating it."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monai_app.bundle.configs.applied import Applied
from monai_app.bundle.configs.trust import changes_of_inference
from monai_app.device.choose import chosen_device
from monai_app.inference import Model, Outputs, Request, Segmentation, check_export, export_tiff
from monai_app.progress import Progress

_SHOWN = 3


def segment(model: Model, stack: Path, name: str, settings: Applied, progress: Progress | None = None) -> str:
    """Segment a stack, and write the labels as TIFFs if requested.

    Args:
        model: the model.
        stack: path of the stack.
        name: the label image's name; for a preview, ``_preview`` is appended.
        settings: all other settings.
        progress: called with the pixels computed and their total; None logs them.

    Returns:
        The label image's name, for a preview including the suffix.

    Raises:
        AppError: the settings do not fit, a target exists, or the run was stopped; completed work is kept.
    """
    segmentation = _segmentation(model, stack, name, settings, progress)
    if settings.tiff_dir is not None:
        check_export(settings.tiff_dir, overwrite=settings.overwrite, stack=str(stack))
    segmentation.run()
    if settings.tiff_dir is not None:
        export_tiff(str(stack), segmentation.name, settings.tiff_dir, overwrite=settings.overwrite)
    return segmentation.name


def check_settings(model: Model, stack: Path, settings: Applied, slices: int) -> None:
    """Check settings for a stack of this many slices before it is ingested.

    Raises:
        ConfigError: one is invalid, or contradicts another one.
    """
    _segmentation(model, stack, "", settings, None).check_settings(slices)


def _segmentation(model: Model, stack: Path, name: str, settings: Applied, progress: Progress | None) -> Segmentation:
    return Segmentation(
        model.described_by(model.spec.reading(settings.stand_ins)),
        str(stack),
        name,
        device=chosen_device(settings.device),
        precision=settings.precision,
        outputs=Outputs(settings.confidence, settings.probability),
        region=settings.region.model_dump(),
        mask=settings.mask,
        request=Request.parse(settings.tile, settings.memory),
        overwrite=settings.overwrite,
        preview=settings.preview,
        workers=settings.workers,
        cluster=settings.cluster,
        keep=settings.tiff_dir is not None,
        progress=progress,
    )


def warn_of_ignored_changes(config: Mapping[str, Any], path: Path) -> None:
    """Warn of changes in an ``inference.yaml`` that only MONAI's ``run`` applies."""
    changed = changes_of_inference(config)
    if changed:
        more = f", and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        logging.getLogger(__name__).warning(
            "%s: these changes apply only to `python -m monai.bundle run`: %s%s",
            path,
            "; ".join(changed[:_SHOWN]),
            more,
        )
