"""Labels of more slices against labels of fewer."""

from collections.abc import Iterable, Sequence

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
    pairs: dict[tuple[str, str, str], list[tuple[StudyVariant, StudyVariant]]] = {}
    whole = [each for each in variants if each.labels is None or each.labels.share is None]
    for better in whole:
        for worse in whole:
            if better.with_all_labels == worse.with_all_labels and _more(better, worse):
                sizes = (better.with_all_labels, size_of(better.labels), size_of(worse.labels))
                pairs.setdefault(sizes, []).append((better, worse))
    return [
        Contrast(
            "labels",
            f"{variant} on labels of {more}{_named(better for better, _ in found)}",
            f"on those of {fewer}{_named(worse for _, worse in found)}",
            tuple((better.name, worse.name) for better, worse in found),
        )
        for (variant, more, fewer), found in pairs.items()
    ]


def _named(variants: Iterable[StudyVariant]) -> str:
    """Say which slices are compared: not all of a size are part of others."""
    amounts = dict.fromkeys(str(each.labels) for each in variants if each.labels is not None)
    return f" ({', '.join(amounts)})" if amounts else ""


def _more(better: StudyVariant, worse: StudyVariant) -> bool:
    if worse.labels is None:
        return False
    return better.labels is None or set(worse.labels.slices) < set(better.labels.slices)
