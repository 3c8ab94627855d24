"""What a study asks: whether more detectors, neighbouring slices, Sensor-3D, cleaning and networks are better."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from monai_app.study.variants import StudyVariant, read_study_variant


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


def contrasts_of(variants: Sequence[str]) -> list[Contrast]:
    """Return the contrasts that variants allow; the variants of a pair differ in what is asked for alone.

    - detectors: all of them against each smaller set;
    - slices: every network of several slices against itself on a single one;
    - both: every other network of several slices against a U-Net of a single one;
    - network: every network against a U-Net of as many slices;
    - cleaning: cleaned images against raw ones, of networks;
    - baselines: every network on raw images against every baseline on cleaned ones, with the same detectors.
    """
    found = [*map(read_study_variant, variants)]
    networks = [each for each in found if each.is_network]
    raw = [each for each in networks if not each.cleaned]
    most = max((len(each.seen) for each in networks), default=0)

    def more_detectors(better: StudyVariant, worse: StudyVariant) -> bool:
        alike = (better.method, better.slices) == (worse.method, worse.slices)
        return alike and len(better.seen) == most and worse.seen < better.seen

    def more_slices(better: StudyVariant, worse: StudyVariant) -> bool:
        alike = (better.method, better.seen) == (worse.method, worse.seen)
        return alike and worse.slices == 1 and better.slices > 1

    def other_on_more(better: StudyVariant, worse: StudyVariant) -> bool:
        alike = better.seen == worse.seen and (worse.method, worse.slices) == ("unet", 1)
        return alike and better.method != "unet" and better.slices > 1

    def other_network(better: StudyVariant, worse: StudyVariant) -> bool:
        alike = (better.seen, better.slices) == (worse.seen, worse.slices)
        return alike and worse.method == "unet" and better.method != "unet"

    def cleaned(better: StudyVariant, worse: StudyVariant) -> bool:
        alike = (better.kind, better.seen) == (worse.kind, worse.seen)
        return alike and better.cleaned and not worse.cleaned

    def newer(better: StudyVariant, worse: StudyVariant) -> bool:
        old = not worse.is_network and worse.cleaned
        return old and better.is_network and not better.cleaned and better.seen == worse.seen

    return [
        *_paired("detectors", raw, more_detectors, lambda each: each.signal),
        *_paired("slices", raw, more_slices, lambda each: each.kind),
        *_paired("both", raw, other_on_more, lambda each: each.kind),
        *_paired("network", raw, other_network, lambda each: each.kind),
        *_paired("cleaning", networks, cleaned, lambda each: f"{each.kind} on {_images(each)}"),
        *_paired("baselines", found, newer, lambda each: f"{each.kind} on {_images(each)}"),
    ]


def single_pairs(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Return every pair of the contrasts as a separate contrast."""
    return [Contrast(each.claim, *pair, (pair,)) for each in contrasts for pair in each.pairs]


def _images(variant: StudyVariant) -> str:
    return "cleaned images" if variant.cleaned else "raw images"


def _paired(
    claim: str,
    variants: Sequence[StudyVariant],
    differs: Callable[[StudyVariant, StudyVariant], bool],
    words: Callable[[StudyVariant], str],
) -> Iterator[Contrast]:
    """Gather the pairs that differ in this alone by what they compare."""
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for better in variants:
        for worse in variants:
            if differs(better, worse):
                pairs.setdefault((words(better), words(worse)), []).append((better.name, worse.name))
    for (better_words, worse_words), found in pairs.items():
        yield Contrast(claim, better_words, worse_words, tuple(found))
