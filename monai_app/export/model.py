"""An exported file as a model for segmentation."""

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from monai_app.bundle.runs import WEIGHTS
from monai_app.device.precision import Precision
from monai_app.domain.calibration import Calibration, calibration_in
from monai_app.domain.model_spec import KEY, ModelSpec
from monai_app.errors import ConfigError
from monai_app.export.formats import Format, format_of
from monai_app.export.networks import ExportedNetwork, read_file
from monai_app.export.trust import check_trusted
from monai_app.inference.model import Model
from monai_app.networks.weights import CHECKSUMS
from monai_app.origin import Origin

_log = logging.getLogger(__name__)

_ONNX_MEMORY_FACTOR = 1.25
"""What ONNX Runtime holds beyond torch: up to 2.6 times the maps counted, where 2.5 times are planned for torch."""


@dataclass(frozen=True, kw_only=True)
class ExportedModel(Model):
    """A model whose network, weights and specification are one file, ``weights``.

    Attributes:
        format: the file's.
    """

    format: Format

    def load(self) -> None:
        """Do nothing: the weights are part of the network."""

    @property
    def name(self) -> str:
        """The file's name, for people."""
        return Path(self.weights).name

    def check_precision(self, precision: Precision, device: torch.device) -> None:
        """Check that the precision is the file's; ConfigError if it is not."""
        if precision != "float32":
            raise ConfigError(f"precision {precision}: {self.weights} computes in float32; segment with the run folder")
        super().check_precision(precision, device)

    @property
    def keeps_nan(self) -> bool:
        """See `Model`: ONNX Runtime need not keep NaN."""
        return self.format != "onnx"

    @property
    def memory_factor(self) -> float:
        """See `Model`."""
        return _ONNX_MEMORY_FACTOR if self.format == "onnx" else super().memory_factor

    @cached_property
    def origin(self) -> Origin:
        """The file as it was read."""
        assert isinstance(self.network, ExportedNetwork)
        return Origin(Path(self.weights), self.network.sha256)

    @cached_property
    def calibration(self) -> Calibration | None:
        """The calibration in the file; None, with a warning, if it belongs to other weights."""
        assert isinstance(self.network, ExportedNetwork)
        metadata = self.network.metadata
        found, checksums = calibration_in(metadata, self.weights), metadata.get(CHECKSUMS)
        own = checksums.get(WEIGHTS.as_posix()) if isinstance(checksums, dict) else None
        if found is None or own == [found.weights_sha256]:
            return found
        _log.warning(
            "%s does not state that its calibration belongs to its weights, so it is ignored and probabilities are "
            "not calibrated; export the run folder with `monai-app export`",
            self.weights,
        )
        return None

    def describe(self) -> dict[str, Any]:
        """Return what decides the model's labels, as JSON knows it."""
        return {**super().describe(), "format": self.format}


def open_exported(path: str) -> ExportedModel:
    """Read an exported file; a program runs only where the user exported or trusted it.

    Args:
        path: of a file that ``monai-app export`` wrote, or MONAI's ``ckpt_export`` of a run folder. Its suffix tells
            the format.

    Raises:
        ConfigError: it does not exist, is not trusted, is damaged, or was not written so.
    """
    file = Path(path).absolute()
    kind, content = format_of(file), read_file(file)
    check_trusted(content, kind, file)
    network = ExportedNetwork(content, kind, str(file))
    spec = ModelSpec.from_json(network.metadata.get(KEY), str(file))
    _check_network(network, spec)
    return ExportedModel(spec=spec, network=network, weights=str(file), format=network.kind)


def _check_network(network: ExportedNetwork, spec: ModelSpec) -> None:
    """Run it once on a small image: a file may be undamaged and yet not what its specification says."""
    rows, columns = 2 * spec.stride, 3 * spec.stride
    image = torch.zeros(1, len(spec.channel_name), rows, columns)
    expected = (1, len(spec.phases), rows, columns)
    try:
        with torch.no_grad():
            given = tuple(network(image).shape)
    except Exception as error:  # whatever the runtimes raise
        first = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"{network.source} does not accept the images that its metadata describe, {tuple(image.shape)} ({first}); "
            "export the run folder again"
        ) from error
    if given != expected:
        raise ConfigError(
            f"{network.source} returns {given} but its metadata describe logits {expected}; export the run folder again"
        )
