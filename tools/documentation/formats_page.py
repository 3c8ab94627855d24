"""The page on file formats, from the registries of readers and writers."""

from page_parts import page, table

from monai_app.io.formats.rosetta import READERS
from monai_app.io.registry import FORMATS
from monai_app.io.writers.registry import WRITERS
from monai_app.meshes.formats import FORMATS as MESHES


def formats_page() -> str:
    """Return the page."""
    reading = [
        (form.name, _names(form.suffixes), _held(form.header is not None, form.datasets is not None))
        for form in FORMATS
    ]
    writing = [(form.name, _names(form.suffixes), "labels" if form.labels else "labels, maps") for form in WRITERS]
    meshes = [(f"`{suffix}`", "all in one file" if form.several else "one per file") for suffix, form in MESHES.items()]
    return page(
        "File formats",
        "The suffix determines the format. [Stack store](stack-store.md) describes the store and the metadata that "
        "are read; [labels](../how-to/stacks/labels.md) describes the exported files.",
        "## Images and labels: reading",
        table(("format", "suffixes", "content of a file"), reading),
        f"Files that end in {_names(tuple(READERS))} need the extra `microscopes`.",
        "## Labels and maps: writing",
        table(("format", "suffixes", "content"), writing),
        "## Meshes: writing",
        table(("suffix", "phases"), meshes),
    )


def _names(suffixes: tuple[str, ...]) -> str:
    return ", ".join(f"`{suffix}`" for suffix in suffixes)


def _held(volume: bool, several: bool) -> str:
    return "a volume with geometry" if volume else "several datasets, one is selected" if several else "planes"
