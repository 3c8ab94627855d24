"""Variants of a study: networks, and the baselines they are compared with."""

from dataclasses import dataclass

from monai_app.bundle.configs.variants import Variant, read_variant
from monai_app.errors import ConfigError
from monai_app.stack import Stack
from monai_app.study.labels.amount import Amount, read_amount

CLEANED = "@cleaned"
"""Ends the name of a variant that sees cleaned images."""

LABELS = "@labels="
"""Stands in the name of a variant that is trained on a part of the annotations, before the part."""

BASELINES = {"otsu": "multi-Otsu thresholds", "forest": "random forest"}
"""Methods that are not networks: the first part of a variant's name -> what it is called."""

_NETWORKS = {"unet": "U-Net", "sensor3d": "Sensor-3D"}


@dataclass(frozen=True)
class StudyVariant:
    """What is trained, on which images.

    Attributes:
        name: ``NETWORK_DETECTOR+DETECTOR_SLICES``, with ``@cleaned`` behind it for cleaned images, and ``@labels=`` and
            an amount behind that for fewer labels.
        method: the network's short name, or one of `BASELINES`.
        settings: detectors and slices, and which bundle's they are.
        cleaned: whether it sees cleaned images.
        labels: the part of the annotations that it is trained on; None for all.
    """

    name: str
    method: str
    settings: Variant
    cleaned: bool
    labels: Amount | None

    @property
    def with_all_labels(self) -> str:
        """The name of the variant that differs from it in seeing all annotations."""
        return self.name.partition(LABELS)[0]

    @property
    def is_network(self) -> bool:
        """Whether it is trained by ``monai-app train``."""
        return self.method not in BASELINES

    @property
    def detectors(self) -> tuple[str, ...]:
        """Its detectors, as the name has them."""
        return tuple(self.settings.settings["detectors"])

    @property
    def slices(self) -> int:
        """Slices that it sees at a time."""
        return int(self.settings.settings["slices"])

    @property
    def seen(self) -> frozenset[str]:
        """Its detectors in lower case: names of detectors differ in more."""
        return frozenset(name.casefold() for name in self.detectors)

    @property
    def signal(self) -> str:
        """Its detectors for people."""
        return "+".join(sorted(self.detectors, key=str.casefold))

    @property
    def kind(self) -> str:
        """Its method for people."""
        title = BASELINES.get(self.method) or _NETWORKS.get(self.method, self.method)
        return f"{title} of {self.slices} slice{'s' * (self.slices > 1)}"

    def detectors_of(self, stack: Stack) -> list[str]:
        """Return its detectors as a stack names them.

        Raises:
            ConfigError: the stack lacks one.
        """
        chosen: list[str] = self.settings.choose(stack, None, {})[1]["detectors"]
        return chosen


def read_study_variant(name: str) -> StudyVariant:
    """Return the variant of a name.

    Raises:
        ConfigError: the name says none.

    Example:
        >>> read_study_variant("forest_SE+BSE_3@cleaned").kind
        'random forest of 3 slices'
    """
    images, fewer, amount = name.partition(LABELS)
    plain = images.removesuffix(CLEANED)
    method, _, rest = plain.partition("_")
    settings = read_variant(f"unet_{rest}" if method in BASELINES else plain)
    found = StudyVariant(name, method, settings, images.endswith(CLEANED), read_amount(amount) if fewer else None)
    if method == "otsu" and found.slices != 1:
        raise ConfigError(f"variant {name!r}: thresholds see one slice; write {method}_{found.signal}_1")
    return found
