"""The design of a study, as a document."""

from collections.abc import Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from monai_app.bundle.configs.settings import read_overlays
from monai_app.bundle.configs.templates import size_overlays, template_path
from monai_app.bundle.configs.training_settings import check_settings
from monai_app.bundle.stacks import check_stacks
from monai_app.domain.schemas import write_document
from monai_app.domain.validation import Items, Strict, Text, read_document
from monai_app.errors import ConfigError
from monai_app.stack import Stack
from monai_app.study.labels.amount import read_amount
from monai_app.study.robustness.strengths import Robustness
from monai_app.study.variants import LABELS, StudyVariant, read_study_variant
from monai_app.yamlfile import read_yaml

EPOCHS = 12
"""Default epochs of each training, with which the nine variants take about 40 minutes per seed on 2 cores."""

NETWORKS = (("unet", 1), ("unet", 3), ("sensor3d", 3))
"""Networks and slices of the default design."""

_BUDGET = ("crop", "batch_size", "steps_per_epoch")
"""Settings that determine, with the epochs, the number of pixels seen in training."""

_OWN = {"max_epochs": "epochs", "seed": "seeds", "detectors": "variants", "slices": "variants"}
"""Settings that a design has entries for."""

_CLOCK = ("minutes", "pace")
"""Settings with which the clock determines the number of pixels seen in training."""

MOST_DETECTORS = 4
"""Detectors of which every combination is a variant of the default design; five would make 93 models a seed."""


def _each_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = sorted({str(value) for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"holds {', '.join(twice)} twice; give each once")
    return values


def _amount(text: int | str) -> str:
    """Return an amount of labels as `read_amount` writes it; a single slice is a number in YAML."""
    return str(read_amount(str(text)))


_Amount = Annotated[int | Text, AfterValidator(_amount)]


class FewerLabels(Strict):
    """The variants of a design that are also trained on parts of the annotations."""

    variants: Annotated[Items[Text], Field(min_length=1), AfterValidator(_each_once)]
    """Variants of the design; each is trained with each of the amounts."""
    amounts: Annotated[Items[_Amount], Field(min_length=1), AfterValidator(_each_once)]
    """Parts of the annotations: slices, `4` or `4+11`, or a share of them, `4:10%blocks` or `all:2%scribbles`."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every variant with every amount."""
        return tuple(f"{name}{LABELS}{amount}" for name in self.variants for amount in self.amounts)


class Design(Strict):
    """The design of a study: every variant is trained once with every seed, separately on every stack."""

    variants: Annotated[Items[Text], Field(min_length=1), AfterValidator(_each_once)]
    """Variants, NETWORK_DETECTOR+DETECTOR_SLICES; the network may be ``otsu`` or ``forest``, and ``@cleaned`` after a
    name means cleaned images."""
    seeds: Annotated[Items[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(_each_once)] = (0, 1, 2)
    """Seeds; with fewer than three there are no intervals."""
    epochs: Annotated[int, Field(ge=1)] = EPOCHS
    """Epochs of every training; with the same size, all see the same number of pixels."""
    size: Text = "small"
    """Size (settings of ``configs/sizes``) of all trainings."""
    settings: dict[Text, Any] = Field(default_factory=dict)
    """Further settings of all trainings, by id."""
    robustness: Robustness = Robustness()
    """Artefacts that are added to the test slices after training."""
    labels: FewerLabels | None = None
    """Variants that are also trained on parts of the annotations."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in self.variants:
            if LABELS in name:
                raise ConfigError(f"variant {name!r}: write parts of the annotations under 'labels', as amounts")
        for name in () if self.labels is None else self.labels.variants:
            if name not in self.variants:
                raise ConfigError(f"labels: {name!r} is not one of the variants; add it there for comparison")
        return self

    @property
    def trained(self) -> tuple[str, ...]:
        """The names of all that is trained: the variants, and those of them that see fewer labels."""
        return (*self.variants, *(() if self.labels is None else self.labels.names))


def default_design(stack: Stack) -> Design:
    """Return the design that compares detectors, neighbouring slices and Sensor-3D.

    Raises:
        ConfigError: the stack has too many detectors for all combinations.
    """
    detectors = stack.detectors
    if len(detectors) > MOST_DETECTORS:
        raise ConfigError(
            f"{stack.path} has {len(detectors)} detectors, too many to compare every combination; write a design with "
            "selected ones and give it with --design"
        )
    sets = [each for size in range(1, len(detectors) + 1) for each in combinations(detectors, size)]
    names = [f"{network}_{'+'.join(each)}_{slices}" for network, slices in NETWORKS for each in sets]
    return Design(variants=tuple(names))


def read_design(path: Path) -> Design:
    """Read a design.

    Raises:
        ConfigError: it cannot be read or is invalid.
    """
    return read_document(Design, path)


def write_design(design: Design, path: Path) -> None:
    """Write a design as YAML, with its schema beside it."""
    write_document(Design, design.model_dump(mode="json"), path)


def check_design(design: Design, stacks: Sequence[Stack]) -> None:
    """Check that every variant can be trained on every stack.

    Raises:
        ConfigError: a variant, size or setting does not exist, trainings would see different numbers of pixels, two
            variants are the same, a stack lacks one of its detectors, or no variant would notice an artefact.
    """
    seen: dict[tuple[str, int, frozenset[str], bool], str] = {}
    for name in design.variants:
        variant = read_study_variant(name)
        _check_settings(variant, design)
        for stack in stacks:
            check_stacks([stack], variant.detectors_of(stack), variant.slices)
        same = seen.setdefault((variant.method, variant.slices, variant.seen, variant.cleaned), name)
        if same != name:
            raise ConfigError(f"variants {same!r} and {name!r} are the same; leave one out")
    _check_artefacts(design, stacks)
    _check_budget([each for each in map(read_study_variant, design.variants) if each.is_network], design)


def _check_artefacts(design: Design, stacks: Sequence[Stack]) -> None:
    """Refuse artefacts without effect."""
    if design.robustness.drift and all(read_study_variant(name).slices == 1 for name in design.variants):
        raise ConfigError("robustness::drift shifts neighbouring slices, but no variant sees any; leave it out")
    variants = [*map(read_study_variant, design.variants)]
    for stack in stacks if design.robustness.detector_shift else ():
        first = stack.detectors[0]
        if all(variant.detectors_of(stack) == [first] for variant in variants):
            raise ConfigError(
                f"robustness::detector_shift moves all detectors of {stack.path} but the first, {first}, and no "
                "variant sees another; leave it out"
            )


def settings_of(variant: StudyVariant, design: Design) -> dict[str, Any]:
    """Return the settings that a variant is trained with: the bundle's, the size's, the design's."""
    bundle = variant.settings.bundle
    defaults: dict[str, Any] = read_yaml(template_path(bundle) / "configs" / "train.yaml")
    return {**defaults, **read_overlays(size_overlays(bundle, design.size)), **design.settings}


def validation_of(variant: StudyVariant, design: Design) -> tuple[float, int]:
    """Return which share of the labelled area validates, and the side of its blocks in pixels."""
    settings = settings_of(variant, design)
    return settings["validation_fraction"], settings["validation_block"]


def _check_settings(variant: StudyVariant, design: Design) -> None:
    for name, entry in _OWN.items():
        if name in design.settings:
            raise ConfigError(f"settings: {name} is an entry of the design; write {entry} next to settings instead")
    for name in _CLOCK:
        if name in design.settings:
            raise ConfigError(
                f"settings: {name} limits training by time, but all trainings must see the same number of pixels; "
                "write epochs next to settings instead"
            )
    defaults = read_yaml(template_path(variant.settings.bundle) / "configs" / "train.yaml")
    overlays = read_overlays(size_overlays(variant.settings.bundle, design.size))
    check_settings({**overlays, **design.settings}, defaults)


def _check_budget(networks: Sequence[StudyVariant], design: Design) -> None:
    """Refuse a design whose trainings see different numbers of pixels."""
    for one, other in pairwise(networks):
        first, second = (settings_of(each, design) for each in (one, other))
        odd = [name for name in _BUDGET if first[name] != second[name]]
        if odd:
            raise ConfigError(
                f"{one.name} and {other.name} would see different numbers of pixels: {odd[0]} is {first[odd[0]]} of "
                f"one and {second[odd[0]]} of the other; give {odd[0]} in the design's settings, or choose another size"
            )
