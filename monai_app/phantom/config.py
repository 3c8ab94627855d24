"""The settings of the simulator; the defaults written here are the documented default sample."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from monai_app.domain.schemas import write_document
from monai_app.domain.validation import Strict, validated
from monai_app.errors import ConfigError
from monai_app.stack.ingestion.description import DetectorName, Voxel
from monai_app.yamlfile import read_yaml


def _check_name(name: str) -> str:
    if name.lower() in ("truth", "annotations"):
        raise ConfigError(f"{name!r} is the name of another folder of the sample; choose another one")
    return name


# Bounds are far around what materials and microscopes have, and keep what is computed within a machine's memory.
Micrometres = Annotated[float, Field(ge=0.05, le=1000, json_schema_extra={"unit": "um"})]
Thickness = Annotated[float, Field(ge=1, le=100_000, json_schema_extra={"unit": "nm"})]
Strength = Annotated[float, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=1, le=65_536)]


MOST_PIXELS = 2**28
"""Of a slice: 16384 x 16384."""


class Structure(Strict):
    """The material. Fractions are those of a large volume; a small field scatters around them."""

    pore_level: Strength = 0.95
    """Threshold above which the capillary-pore field (unit variance) is pore; higher means fewer pores."""
    pore_nm: Thickness = 330.0
    """Correlation length of the capillary pores, nm."""
    void_probability: Share = 0.5
    """Probability of a round air void (radius 0.3-0.8 um) in a cell of 5 um."""
    clinker_radius_um: Micrometres = 1.75
    """Mean radius of a large clinker remnant, um."""
    portlandite_radius_um: Micrometres = 1.12
    """Mean radius of a portlandite crystal, um."""
    aggregate_radius_um: Micrometres = 11.0
    """Mean radius of a sand grain, um; grains are 30 um apart."""
    shell_nm: Thickness = 760.0
    """Mean thickness of the inner hydrate around clinker, nm (860 nm in Zhao 2019, Materials 12:1882)."""


class Artefacts(Strict):
    """Strength of every artefact: 1 is realistic, 0 turns exactly this one off, and other values scale it."""

    curtaining: Strength = 1.0
    """Milling streaks at two angles (see `curtains`), shared by the detectors, times their ``curtain_gain``."""
    shadowing: Strength = 1.0
    """Darkening towards the bottom of the trench and across it, times the detector's ``shadow``."""
    noise: Strength = 1.0
    """Standard deviation of the Poisson-Gaussian noise relative to the detector's ``electrons`` and ``read_noise``."""
    shine_through: Strength = 1.0
    """Visibility of the structure behind a pore; at 0 a pore is uniformly dark."""
    subsurface: Strength = 1.0
    """Electrons from below the face, which soften inclined phase boundaries; scales the escape depth."""
    blur: Strength = 1.0
    """Width of the beam, times the detector's ``blur_px``."""
    topography: Strength = 1.0
    """Relief and bright pore rims, times the detector's ``topography``."""
    charging: Strength = 1.0
    """Dark tails along the fast scan behind insulators, times the detector's ``charging``."""
    flicker: Strength = 1.0
    """Change of brightness from slice to slice (sd 2 %) and from row to row (sd 0.4 %), independent per detector."""
    drift: Strength = 1.0
    """Random walk of the field, 10 nm sd per slice and axis; moves truth and both detectors together."""
    thickness_jitter: Strength = 1.0
    """Scatter of the slice thickness, 6 % of the nominal one (measured on a real stack, see `stage`)."""


class Detector(Strict):
    """One detector: how it mixes the signals and how strongly each artefact reaches it."""

    name: Annotated[DetectorName, AfterValidator(_check_name)]
    """Name of the detector, also its folder: letters, digits and ``_ . -``."""
    composition: Share
    """Share of the composition (BSE) signal, 0-1; the rest is secondary electrons."""
    topography: Strength
    """Gain of relief and edge brightening; 1 is a side-mounted SE detector."""
    curtain_gain: Strength
    """Gain of the curtains; 1 is a side-mounted SE detector."""
    shadow: Share
    """Share of the signal lost where the trench fully shadows the detector, 0-1."""
    charging: Strength
    """Gain of charging tails."""
    electrons: Annotated[float, Field(ge=0.1, le=1_000_000)]
    """Electrons of a white pixel, which determine the Poisson noise."""
    read_noise: Strength
    """Sd of the Gaussian noise of the electronics, 8-bit grey levels."""
    blur_px: Strength
    """Sd of the beam profile, pixels."""


_VOXEL = Voxel(z=40.0, y=20.0, x=20.0)
_CHAMBER = Detector(
    name="ICE",
    composition=0.4,
    topography=1.0,
    curtain_gain=1.0,
    shadow=0.5,
    charging=1.0,
    electrons=95.0,
    read_noise=5.0,
    blur_px=0.75,
)
_LENS = Detector(
    name="TLD",
    composition=1.0,
    topography=0.22,
    curtain_gain=0.45,
    shadow=0.2,
    charging=0.3,
    electrons=230.0,
    read_noise=3.0,
    blur_px=0.6,
)


class PhantomConfig(Strict):
    """A complete description of a phantom; the defaults give the demo sample, 24 slices of 512 x 512.

    Raises:
        ConfigError: a value that breaks its rule; the message names value, rule and remedy.
    """

    slices: _Count = 24
    """Number of slices."""
    rows: _Count = 512
    """Rows of a slice (y, the milling direction)."""
    columns: _Count = 512
    """Columns of a slice (x, the fast scan)."""
    voxel_nm: Voxel = _VOXEL
    """Voxel size, nm."""
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    """Seed of all random numbers."""
    structure: Structure = Structure()
    """The material."""
    artefacts: Artefacts = Artefacts()
    """Strength of every artefact."""
    chamber: Detector = _CHAMBER
    """The side-mounted in-chamber detector: topography, shading, noise."""
    lens: Detector = _LENS
    """The through-the-lens detector: composition."""

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        if self.chamber.name.lower() == self.lens.name.lower():
            name = self.lens.name
            raise ConfigError(f"chamber::name and lens::name are both {name!r}; give the detectors different names")
        return self

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        if self.rows * self.columns > MOST_PIXELS:
            raise ConfigError(f"rows {self.rows} x columns {self.columns}: at most {MOST_PIXELS} pixels; lower one")
        for axis, size in self.voxel_nm.model_dump().items():
            if not 0.1 <= size <= 10_000:
                raise ConfigError(f"voxel_nm::{axis}: {size:g} is not a size from 0.1 to 10000 nm; correct it")
        return self

    @property
    def detectors(self) -> tuple[Detector, Detector]:
        """Both detectors in channel order."""
        return self.chamber, self.lens

    @classmethod
    def from_yaml(cls, path: Path) -> Self:
        """Read any subset of the settings and lay it over the defaults.

        Raises:
            ConfigError: no readable YAML mapping, an unknown key, or a value that breaks its rule.
        """
        content = read_yaml(path)
        return cls.from_mapping({} if content is None else content, path)

    @classmethod
    def from_mapping(cls, settings: Any, source: Path | str = "phantom settings") -> Self:
        """Lay a nested mapping of any subset of the settings over the defaults; ``source`` names it in messages.

        Raises:
            ConfigError: an unknown key, or a value that breaks its rule.
        """
        return validated(cls, _overlay(cls().model_dump(), settings), source)

    def to_yaml(self, path: Path) -> None:
        """Write every setting, so that `from_yaml` gives back an equal config."""
        write_document(type(self), self.model_dump(), path, partial=True)


def _overlay(base: Any, changes: Any) -> Any:
    """Lay nested mappings over others."""
    if not isinstance(base, Mapping) or not isinstance(changes, Mapping):
        return changes
    return {**base, **{key: _overlay(base.get(key), value) for key, value in changes.items()}}
