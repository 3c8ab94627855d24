"""Pictures of slices: test slices with their annotations, and all slices of the stack with its labels."""

from collections.abc import Iterator, Sequence

from monai_app.domain.phase import Phase
from monai_app.progress import Progress
from monai_app.reporting.browser import ComparedSlice, compare_layers, stack_browser
from monai_app.reporting.content import Block, Note, Picture, Section, Widget
from monai_app.reporting.formatting import slices
from monai_app.reporting.sources import LabelImage, Scores, Sources, Store

_MOST, _BUDGET = 4, 16_000_000
"""Maximum number of test slices shown, and their maximum total bytes."""


def compared(sources: Sources) -> Section | None:
    """Show test slices: detector images, annotations and predictions."""
    store, run = sources.store, sources.run
    scores = run.scores if run else None
    learned = run.learned_from(store.stack.ingested) if store and run else set[int]()
    if store and store.labels and store.stack.test_slices:
        blocks = list(_layers(store, store.labels, learned))
    elif scores:
        blocks = list(_pictures(scores))
    else:
        blocks = [Note("There are no test slices to compare the model with.", "missing")]
    if not blocks or (run is None and store is None):
        return None
    unseen = " and not used for training" if run and run.trained_on else " for testing"
    return Section(
        "test",
        "Test slices",
        f"Slices labelled by a person{unseen}: choose two layers and move the divider. The errors layer marks wrong "
        "pixels; unlabelled pixels are white.",
        blocks,
    )


def _layers(store: Store, labels: LabelImage, learned: set[int]) -> Iterator[Block]:
    stack = store.stack
    if _meaning(stack.phases) != _meaning(labels.phases):
        yield Note(
            "The labels and the annotations have different phases, so no test slice can be compared.",
            "missing",
        )
        return
    segmented = [z for z in stack.test_slices if z in labels.slices and z not in learned]
    if not segmented:
        unseen = " that was held out of training" if learned else ""
        yield Note(f"The labels contain no test slice{unseen}: segment one to compare them.", "missing")
        return
    chosen = []
    for z in segmented[:_MOST]:
        truth, prediction = stack.read_annotation(z), stack.read_labels(labels.name, z)
        images = {name: stack.read_slab(z, [name], 1)[0] for name in stack.detectors}
        chosen.append(ComparedSlice(f"slice {z}", images, truth, prediction, stack.voxel_nm))
    yield Widget(compare_layers(chosen, labels.phases, budget=_BUDGET))
    if len(segmented) > _MOST:
        yield Note(f"Not shown, to limit the size of the page: slices {slices(segmented[_MOST:])}.")


def _meaning(phases: Sequence[Phase]) -> dict[int, str]:
    return {each.value: each.name for each in phases}


def _pictures(scores: Scores) -> Iterator[Block]:
    found = [
        (f"{folder.name}, slice {int(path.stem.removeprefix('slice_'))}", path)
        for folder in scores.stacks
        for path in sorted(folder.glob("slice_*.png"))
    ]
    for name, path in found[:_MOST]:
        alt = f"{name}: detectors, truth, prediction and errors side by side"
        yield Picture(f"{name}: detectors, truth, prediction, errors", alt, path.read_bytes())
    if len(found) > _MOST:
        yield Note(f"Not shown, to limit the size of the page: {'; '.join(name for name, _ in found[_MOST:])}.")


def stack_slices(sources: Sources, budget: int, progress: Progress) -> Section | None:
    """Show every slice of the stack with its labels."""
    store = sources.store
    if store is None:
        return None
    labels = store.labels.name if store.labels else None
    return Section(
        "slices",
        "Slices",
        "Every slice as recorded by each detector, with the labels overlaid: step through the stack, and hide a phase "
        "to see what is beneath it. The pictures have the resolution of a screen; the store has all pixels.",
        [Widget(stack_browser(store.stack, labels, budget=budget, progress=progress))],
    )
