"""What a study asks: whether more detectors, neighbouring slices and Sensor-3D are better."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from monai_app.bundle.configs.variants import read_variant

_NAMES = {"unet": "U-Net", "sensor3d": "Sensor-3D"}


@dataclass(frozen=True)
class Contrast:
    """Something that may be better than something else.

    Attributes:
        claim: which of the study's questions it answers.
        better, worse: what is compared, in words.
        pairs: variants that differ in nothing else; their differences are averaged.
    """

    claim: str
    better: str
    worse: str
    pairs: tuple[tuple[str, str], ...]


class _Factors(NamedTuple):
    """What a variant is made of."""

    variant: str
    network: str
    detectors: tuple[str, ...]
    slices: int

    @property
    def kind(self) -> str:
        return f"{_NAMES.get(self.network, self.network)} of {self.slices} slice{'s' * (self.slices > 1)}"

    @property
    def signal(self) -> str:
        return "+".join(self.detectors)

    @property
    def seen(self) -> frozenset[str]:
        return frozenset(name.casefold() for name in self.detectors)


def contrasts_of(variants: Sequence[str]) -> list[Contrast]:
    """Return the contrasts that variants allow.

    - detectors: all of them against each smaller set, with the same network and slices;
    - slices: every network of several slices against every one of a single slice, with the same detectors;
    - network: every network against a U-Net of as many slices, with the same detectors.
    """
    factors = [*map(_factors, variants)]
    most = max(len(each.seen) for each in factors)

    def more_detectors(better: _Factors, worse: _Factors) -> bool:
        alike = (better.network, better.slices) == (worse.network, worse.slices)
        return alike and len(better.seen) == most and worse.seen < better.seen

    def more_slices(better: _Factors, worse: _Factors) -> bool:
        return better.seen == worse.seen and worse.slices == 1 and better.slices > 1

    def other_network(better: _Factors, worse: _Factors) -> bool:
        alike = (better.seen, better.slices) == (worse.seen, worse.slices)
        return alike and worse.network == "unet" and better.network != "unet"

    return [
        *_paired("detectors", factors, more_detectors, lambda each: each.signal),
        *_paired("slices", factors, more_slices, lambda each: each.kind),
        *_paired("network", factors, other_network, lambda each: each.kind),
    ]


def single_pairs(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Return every pair of the contrasts as one of its own."""
    return [Contrast(each.claim, *pair, (pair,)) for each in contrasts for pair in each.pairs]


def _factors(variant: str) -> _Factors:
    found = read_variant(variant)
    network = found.bundle.removeprefix("fibsem_").removesuffix("_segmentation")
    return _Factors(variant, network, tuple(found.settings["detectors"]), found.settings["slices"])


def _paired(
    claim: str,
    factors: Sequence[_Factors],
    differs: Callable[[_Factors, _Factors], bool],
    words: Callable[[_Factors], str],
) -> Iterator[Contrast]:
    """Gather the pairs that differ in this alone by what they compare."""
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for better in factors:
        for worse in factors:
            if differs(better, worse):
                pairs.setdefault((words(better), words(worse)), []).append((better.variant, worse.variant))
    for (better_words, worse_words), found in pairs.items():
        yield Contrast(claim, better_words, worse_words, tuple(found))
