"""Labels of more slices against labels of fewer."""

from collections.abc import Sequence

from monai_app.study.claims import Contrast
from monai_app.study.labels.amount import size_of
from monai_app.study.variants import StudyVariant


def label_contrasts(variants: Sequence[StudyVariant]) -> list[Contrast]:
    """Return the contrasts between numbers of whole slices; shares of slices take no part.

    Labels of all slices are against those of each smaller number, and slices against fewer of them; a pair is two sets
    of slices of which one is part of the other.

    Args:
        variants: with all labels and with fewer.
    """
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    whole = [each for each in variants if each.labels is None or each.labels.share is None]
    for better in whole:
        for worse in whole:
            if better.with_all_labels == worse.with_all_labels and _more(better, worse):
                words = (
                    f"{better.with_all_labels} on labels of {size_of(better.labels)}",
                    f"on those of {size_of(worse.labels)}",
                )
                pairs.setdefault(words, []).append((better.name, worse.name))
    return [Contrast("labels", *words, tuple(found)) for words, found in pairs.items()]


def _more(better: StudyVariant, worse: StudyVariant) -> bool:
    if worse.labels is None:
        return False
    return better.labels is None or set(worse.labels.slices) < set(better.labels.slices)
