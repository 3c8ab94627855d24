"""The settings of the simulator; the defaults written here are the documented default sample."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from ruamel.yaml import YAML

from monai_app.errors import ConfigError
from monai_app.stack.ingestion.description import DETECTOR_NAME
from monai_app.yamlfile import read_yaml

_RESERVED = ("truth", "annotations")
_Section = TypeVar("_Section")


@dataclass(frozen=True)
class Voxel:
    """Size of a voxel; the material is defined in nm, so this changes how finely it is sampled and nothing else."""

    z: float = 40.0
    """Nominal slice thickness, nm."""
    y: float = 20.0
    """Distance of two rows, nm."""
    x: float = 20.0
    """Distance of two columns, nm."""


@dataclass(frozen=True)
class Structure:
    """The material. Fractions are those of a large volume; a small field scatters around them."""

    pore_level: float = 0.95
    """Level above which the capillary-pore field (unit variance) is pore; higher is less pore."""
    pore_nm: float = 330.0
    """Correlation length of the capillary pores, nm."""
    void_probability: float = 0.5
    """Chance of a round air void (radius 0.3-0.8 um) in a cell of 5 um."""
    clinker_radius_um: float = 1.75
    """Mean radius of a large clinker remnant, um."""
    portlandite_radius_um: float = 1.12
    """Mean radius of a portlandite crystal, um."""
    aggregate_radius_um: float = 11.0
    """Mean radius of a sand grain, um; grains stand 30 um apart."""
    shell_nm: float = 760.0
    """Mean thickness of the inner hydrate around clinker, nm (860 nm in Zhao 2019, Materials 12:1882)."""


@dataclass(frozen=True)
class Artefacts:
    """Strength of every artefact: 1 is realistic, 0 turns exactly this one off, and other values scale it."""

    curtaining: float = 1.0
    """Milling streaks at two angles (see `curtains`), shared by the detectors, times their ``curtain_gain``."""
    shadowing: float = 1.0
    """Darkening towards the bottom of the trench and across it, times the detector's ``shadow``."""
    noise: float = 1.0
    """Standard deviation of the Poisson-Gaussian noise relative to the detector's ``electrons`` and ``read_noise``."""
    shine_through: float = 1.0
    """How much of the structure behind a pore is seen in it; at 0 a pore is evenly dark."""
    subsurface: float = 1.0
    """Electrons from below the face, which soften inclined phase boundaries; scales the escape depth."""
    blur: float = 1.0
    """Width of the beam, times the detector's ``blur_px``."""
    topography: float = 1.0
    """Relief and bright pore rims, times the detector's ``topography``."""
    charging: float = 1.0
    """Dark tails along the fast scan behind insulators, times the detector's ``charging``."""
    flicker: float = 1.0
    """Change of brightness from slice to slice (sd 2 %) and from row to row (sd 0.4 %), independent per detector."""
    drift: float = 1.0
    """Random walk of the field, 10 nm sd per slice and axis; moves truth and both detectors together."""
    thickness_jitter: float = 1.0
    """Scatter of the slice thickness, 6 % of the nominal one (measured on a real stack, see `stage`)."""


@dataclass(frozen=True)
class Detector:
    """One detector: how it mixes the signals and how strongly each artefact reaches it."""

    name: str
    """Name of the detector, also its folder: letters, digits and ``_ . + -``."""
    composition: float
    """Share of the composition (BSE) signal, 0-1; the rest is secondary electrons."""
    topography: float
    """Gain of relief and edge brightening; 1 is a side-mounted SE detector."""
    curtain_gain: float
    """Gain of the curtains; 1 is a side-mounted SE detector."""
    shadow: float
    """Share of the signal lost where the trench hides the detector completely, 0-1."""
    charging: float
    """Gain of charging tails."""
    electrons: float
    """Electrons that make a white pixel: the Poisson noise."""
    read_noise: float
    """Sd of the Gaussian noise of the electronics, 8-bit grey levels."""
    blur_px: float
    """Sd of the beam profile, pixels."""


_CHAMBER = Detector("ICE", 0.4, 1.0, 1.0, 0.5, 1.0, 95.0, 5.0, 0.75)
_LENS = Detector("TLD", 1.0, 0.22, 0.45, 0.2, 0.3, 230.0, 3.0, 0.6)


@dataclass(frozen=True)
class PhantomConfig:
    """A complete description of a phantom; the defaults give the demo sample, 24 slices of 512 x 512.

    Raises:
        ConfigError: a value that breaks its rule; the message names value, rule and remedy.
    """

    slices: int = 24
    """Number of slices."""
    rows: int = 512
    """Rows of a slice (y, the milling direction)."""
    columns: int = 512
    """Columns of a slice (x, the fast scan)."""
    voxel_nm: Voxel = field(default_factory=Voxel)
    """Voxel size, nm."""
    seed: int = 0
    """Determines everything that is random; 0 or greater."""
    structure: Structure = field(default_factory=Structure)
    """The material."""
    artefacts: Artefacts = field(default_factory=Artefacts)
    """Strength of every artefact."""
    chamber: Detector = _CHAMBER
    """The side-mounted in-chamber detector: topography, shading, noise."""
    lens: Detector = _LENS
    """The through-the-lens detector: composition."""

    def __post_init__(self) -> None:
        for name in ("slices", "rows", "columns"):
            _whole(getattr(self, name), name, 1)
        _whole(self.seed, "seed", 0)
        for section in ("voxel_nm", "structure", "artefacts", "chamber", "lens"):
            _check_numbers(getattr(self, section), section)
        _check_positive(self.voxel_nm, "voxel_nm", ("z", "y", "x"))
        lengths = ("pore_nm", "clinker_radius_um", "portlandite_radius_um", "aggregate_radius_um", "shell_nm")
        _check_positive(self.structure, "structure", lengths)
        _check_detectors(self.chamber, self.lens)

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
        return cls.from_mapping({} if content is None else content)

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> Self:
        """Lay a nested mapping of any subset of the settings over the defaults.

        Raises:
            ConfigError: an unknown key, or a value that breaks its rule.
        """
        return _overlay(cls(), settings, "")

    def to_yaml(self, path: Path) -> None:
        """Write every setting, so that `from_yaml` gives back an equal config."""
        yaml = YAML()
        yaml.default_flow_style = False
        with path.open("w", encoding="utf-8") as file:
            yaml.dump(dataclasses.asdict(self), file)


def _overlay(base: _Section, changes: Any, where: str) -> _Section:
    """Lay a mapping over a (nested) dataclass."""
    title = where or "phantom settings"
    if not isinstance(changes, Mapping):
        raise ConfigError(f"{title}: {changes!r} is not a mapping of settings; write 'name: value' lines")
    known = [item.name for item in dataclasses.fields(base)]  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in changes.items():
        if key not in known:
            raise ConfigError(f"{title}: unknown setting {key!r}; use one of {', '.join(known)}")
        old = getattr(base, key)
        values[key] = _overlay(old, value, f"{where}.{key}".lstrip(".")) if dataclasses.is_dataclass(old) else value
    return dataclasses.replace(base, **values)  # type: ignore[type-var]


def _whole(value: Any, name: str, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigError(f"{name} is {value!r}; it must be a whole number of at least {least}")


def _check_numbers(section: Any, where: str) -> None:
    """Every setting of a section but a name is a finite number of at least 0."""
    for item in dataclasses.fields(section):
        value, name = getattr(section, item.name), f"{where}.{item.name}"
        if item.name == "name":
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ConfigError(f"{name} is {value!r}; it must be a number")
        if value < 0:
            raise ConfigError(f"{name} is {value!r}; it must not be negative, 0 is the least")


def _check_positive(section: Any, where: str, names: tuple[str, ...]) -> None:
    for name in names:
        if getattr(section, name) <= 0:
            raise ConfigError(f"{where}.{name} is {getattr(section, name)!r}; it must be greater than 0")


def _check_detectors(chamber: Detector, lens: Detector) -> None:
    for where, detector in (("chamber", chamber), ("lens", lens)):
        name = detector.name
        if not isinstance(name, str) or not DETECTOR_NAME.fullmatch(name) or name.lower() in _RESERVED:
            raise ConfigError(
                f"{where}.name is {name!r}; it must be a folder name of letters, digits and _ . - "
                f"that is none of {', '.join(_RESERVED)}"
            )
        for share in ("composition", "shadow"):
            if getattr(detector, share) > 1:
                raise ConfigError(f"{where}.{share} is {getattr(detector, share)!r}; it is a share, at most 1")
        _check_positive(detector, where, ("electrons",))
    if chamber.name.lower() == lens.name.lower():
        raise ConfigError(f"chamber.name and lens.name are both {lens.name!r}; give the detectors different names")
