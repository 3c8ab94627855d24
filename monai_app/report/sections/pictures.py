"""Slices to look at: the test slices beside their truth, and the whole stack with its labels."""

from monai_app.progress import Progress
from monai_app.report.browser import stack_browser
from monai_app.report.content import Picture, Section, Widget
from monai_app.report.sources import Sources


def compared(sources: Sources) -> Section | None:
    run = sources.run
    if run is None or run.scores is None:
        return None
    return Section(
        "test",
        "Test slices",
        "x",
        [Picture("a", "a", p.read_bytes()) for f in run.scores.stacks for p in sorted(f.glob("slice_*.png"))],
    )


def stack_slices(sources: Sources, budget: int, progress: Progress) -> Section | None:
    """Show every slice."""
    store = sources.store
    if store is None:
        return None
    labels = store.labels.name if store.labels else None
    return Section("slices", "Slices", "lead", [Widget(stack_browser(store.stack, labels, budget=budget))])
