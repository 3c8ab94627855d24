"""An exported file as the model of a segmentation."""

from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

import torch

from monai_app.device.precision import Precision
from monai_app.errors import ConfigError
from monai_app.export.formats import Format, format_of
from monai_app.export.networks import ExportedNetwork
from monai_app.inference.description import KEY, ModelDescription
from monai_app.inference.model import Model
from monai_app.inference.tiling.receptive_field import check_halo

_ARENA = 1.25
"""What ONNX Runtime holds beyond torch: up to 2.6 times the maps counted, where 2.5 times are planned for torch."""


@dataclass(frozen=True, kw_only=True)
class ExportedModel(Model):
    """A model whose network, weights and description are one file, ``weights``.

    Attributes:
        format: the file's.
        description: what the file says of the model.
    """

    format: Format
    description: ModelDescription

    def load(self) -> None:
        """Do nothing: the weights are part of the network."""

    @property
    def name(self) -> str:
        """The file's name, for people."""
        return Path(self.weights).name

    def check_precision(self, precision: Precision, device: torch.device) -> None:
        """Check that the precision is the file's.

        Raises:
            ConfigError: it is not.
        """
        if precision != "float32":
            raise ConfigError(f"precision {precision}: {self.weights} computes in float32; segment with the run folder")
        super().check_precision(precision, device)

    def measure_halo(self) -> int:
        """Return the halo: measured, or that of the export, checked, where a runtime need not keep NaN.

        Raises:
            ConfigError: there is none, or a tile with it does not give the logits of the whole.
        """
        if self.format != "onnx":
            return super().measure_halo()
        halo = self.description.halo
        if halo is None:
            raise ConfigError(f"{self.weights} does not say its halo; write it anew with `monai-app export RUN`")
        check_halo(self.network, len(self.detectors) * self.slices, self.stride, halo)
        return halo

    def count_maps(self) -> int:
        """Return the values per pixel that the network holds at its peak; counted at the export for ONNX Runtime."""
        maps = self.description.maps or super().count_maps()
        return ceil(_ARENA * maps) if self.format == "onnx" else maps

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file as it was read."""
        assert isinstance(self.network, ExportedNetwork)
        return self.network.sha256

    def describe(self) -> dict[str, Any]:
        """Return what decides the model's labels, as JSON knows it."""
        return {**super().describe(), "network": self.description.network, "format": self.format}


def open_exported(path: str) -> ExportedModel:
    """Read an exported file: a program, so only what you trust.

    Args:
        path: of a file that ``monai-app export`` wrote, or MONAI's ``ckpt_export`` of a run folder. Its suffix tells
            the format.

    Raises:
        ConfigError: it is not there, is damaged, or was not written so.
    """
    file = Path(path).absolute()
    network = ExportedNetwork.read(file, format_of(file))
    description = ModelDescription.from_json(network.metadata.get(KEY), str(file))
    _check_network(network, description)
    return ExportedModel(
        network=network,
        weights=str(file),
        detectors=tuple(description.detectors),
        slices=description.slices,
        stride=description.stride,
        scaling=description.scaling,
        dtype=description.dtype,
        phases=description.phase_list,
        settings=description.settings,
        format=network.kind,
        description=description,
    )


def _check_network(network: ExportedNetwork, description: ModelDescription) -> None:
    """Run it once on a small image: a file may be whole and yet not what its description says."""
    rows, columns = 2 * description.stride, 3 * description.stride
    image = torch.zeros(1, len(description.channel_name), rows, columns)
    expected = (1, len(description.phases), rows, columns)
    try:
        with torch.no_grad():
            given = tuple(network(image).shape)
    except Exception as error:  # whatever the runtimes raise
        first = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"{network.source} does not take the images that it describes, {tuple(image.shape)} ({first}); export the "
            "run folder again"
        ) from error
    if given != expected:
        raise ConfigError(
            f"{network.source} gives {given} where it describes logits {expected}; export the run folder again"
        )
