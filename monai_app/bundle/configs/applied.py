"""How a model is applied to a stack, declared once; ``inference.yaml`` has the same ids and defaults."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from monai_app.bundle.configs.plain import is_plain
from monai_app.device.precision import Precision
from monai_app.domain.validation import Items, Strict, Text
from monai_app.errors import ConfigError

AUTOMATIC = "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')"
"""The value of ``device`` in the bundles."""


class Part(Strict):
    """The region to segment, per axis: FIRST:END with END excluded, or one index; None means all."""

    slices: str | None = None
    rows: str | None = None
    columns: str | None = None


class Asked(Strict):
    """Options that are given on each call and cannot be set in a file."""

    mask: Text | None = None
    """a label image of the stack, or a path; only pixels above 0 are segmented"""
    preview: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """segment only this many slices, spread over the region, as a separate label image; 0 means all"""
    cluster: Text | None = None
    """address of a Dask scheduler to compute on"""
    tiff_dir: Text | None = None
    """also write the labels to this folder, one TIFF per slice"""
    stand_ins: dict[str, str] = Field(default_factory=dict)
    """detector of the model: detector of the stack that replaces it"""
    overwrite: bool = False
    """replace a finished label image"""


class Applied(Asked):
    """All options of ``monai-app segment``; those that are not given come from the run folder."""

    region: Part = Part()
    """region of the stack to segment"""
    confidence: str | Items[str] = "none"
    """one byte per pixel in addition to the labels"""
    probability: bool = False
    """one byte per pixel and phase in addition to the labels"""
    precision: Precision = "float32"
    """of the arithmetic"""
    tile: str | int | Items[int] | None = None
    """side, or rows and columns, of a tile; None chooses by the available memory"""
    memory: str | int | None = None
    """memory limit of the process"""
    workers: Annotated[int, Field(ge=0, le=256)] = 0
    """processes on this machine; 0 computes in this process"""
    device: str = "auto"
    """device on which the network runs"""


KEPT = tuple(name for name in Applied.model_fields if name not in Asked.model_fields)
"""Ids in ``inference.yaml`` that are read as data."""


def kept_settings(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the settings in a run folder's ``inference.yaml`` without evaluating it.

    Raises:
        ConfigError: one is an expression, or belongs on the command line.
    """
    for name, field in Asked.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if config.get(name, default) != default:
            raise ConfigError(f"{path}: {name} is {config[name]!r}; remove it, and set it on the command line")
    kept = {name: config[name] for name in KEPT if name in config and config[name] != AUTOMATIC}
    for name, value in kept.items():
        if not is_plain(value):
            raise ConfigError(f"{path}: {name} is {value!r}, but configs are not evaluated here; give a plain value")
    return kept
