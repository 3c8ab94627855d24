"""Segment a stack."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

import numpy as np
import numpy.typing as npt

from monai_app.api.given import PathLike, Show, StackLike, ignore, opened, path_of
from monai_app.api.options import SegmentOptions, asked_settings
from monai_app.domain.phase import Phase
from monai_app.errors import ConfigError
from monai_app.progress import Progress
from monai_app.stack import Stack
from monai_app.stack.html import html_picture
from monai_app.stack.label_images.registry import check_label_name, read_phases


@dataclass(frozen=True)
class Labels:
    """A finished label image of a stack.

    Attributes:
        stack: the stack.
        name: the label image's name.
    """

    stack: Stack
    name: str

    @property
    def path(self) -> Path:
        """The label image in the stack's store."""
        return self.stack.path / "labels" / self.name

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of the values 1..K."""
        return tuple(read_phases(self.stack.path, self.name))

    @property
    def slices(self) -> list[int]:
        """The slices that were segmented, ascending.

        Raises:
            StackError: there is no finished label image of that name.
        """
        return self.stack.label_slices(self.name)

    def read(self, z: int) -> npt.NDArray[np.uint8]:
        """Read a slice: (rows, columns), 0 not segmented, 1..K the phases.

        Raises:
            StackError: there is no finished label image of that name, or no such slice.
        """
        return self.stack.read_labels(self.name, z)

    def _repr_html_(self) -> str:
        z = self.slices[len(self.slices) // 2]
        colours = np.array([(255, 255, 255), *(phase.rgb for phase in self.phases)], np.uint8)
        legend = ", ".join(f"{phase.name} {phase.colour}" for phase in self.phases)
        return html_picture(colours[self.read(z)], f"{self.name}, slice {z}: {legend}")


def labels_name(labels: str | Labels, stack: Stack) -> str:
    """Return the name of a label image of the stack.

    Raises:
        ConfigError: it is another stack's, or neither labels nor a name.
    """
    if isinstance(labels, str):
        return labels
    if not isinstance(labels, Labels):
        raise ConfigError(f"labels {labels!r} are neither labels nor a name; give what segment returns, or its name")
    if labels.stack.path != stack.path:
        raise ConfigError(f"labels {labels.name!r} are of {labels.stack.path}, not of {stack.path}; give that stack")
    return labels.name


def segment(
    stack: StackLike,
    model: PathLike,
    labels: str | None = None,
    *,
    confidence: str | None = None,
    probability: bool | None = None,
    tiff: PathLike | None = None,
    progress: Progress | None = None,
    show: Show = ignore,
    **options: Unpack[SegmentOptions],
) -> Labels:
    """Segment a stack into a label image in its store, as ``monai-app segment`` does.

    The same call resumes a segmentation that was stopped.

    Args:
        stack: the stack, opened or as a path.
        model: run folder with trained weights, or an exported file.
        labels: name of the label image; None means the model's name.
        confidence: also store the confidence of every pixel: ``"max"`` or ``"entropy"``.
        probability: also store the probability of every phase.
        tiff: folder for one TIFF per slice.
        progress: called with the pixels computed and their total; None logs them.
        show: called with the equivalent ``python -m monai.bundle run`` command.
        options: region, mask, memory, device and others, see `SegmentOptions`; a preview is stored as labels
            ``NAME_preview``.

    Returns:
        The label image.

    Raises:
        ConfigError: an option is invalid, the model does not fit the stack, or it is not a model.
        StackError: there is no stack at the path, or it is damaged.
        TargetExistsError: there are finished labels of that name, and ``overwrite`` is false.
        StoppedError: it was stopped; completed work is kept.
    """
    from monai_app.api.running import applicable, applied, checked_device
    from monai_app.bundle.segment import segment as segment_stack
    from monai_app.bundle.stacks import warn_if_unfamiliar
    from monai_app.inspection import warn_of_faults

    device = checked_device(options.get("device"))
    source, chosen = opened(stack), applicable(path_of(model, "model"))
    warn_if_unfamiliar(chosen.model.spec.reading(options.get("detectors") or {}), source)
    name = chosen.name if labels is None else labels
    check_label_name(name)
    asked = asked_settings(
        options,
        mask=_mask(options.get("mask"), source.label_names()),
        device=device,
        confidence=confidence,
        probability=probability,
        tiff_dir=None if tiff is None else str(path_of(tiff, "tiff").absolute()),
    )
    settings = applied(chosen, asked)
    overrides = {"dataset_dir": str(source.path), "labels_name": name, **asked}
    overrides |= {f"region::{axis}": text for axis, text in overrides.pop("region", {}).items()}
    show(replace(chosen.command, overrides=chosen.command.overrides | overrides))
    warn_of_faults(source)
    return Labels(source, segment_stack(chosen.model, source.path, name, settings, progress))


def _mask(mask: PathLike | None, label_images: tuple[str, ...]) -> str | None:
    """Return the mask independent of the working directory: a label image's name, or an absolute path."""
    if mask is None or (isinstance(mask, str) and mask in label_images):
        return mask
    return str(path_of(mask, "mask").absolute())
