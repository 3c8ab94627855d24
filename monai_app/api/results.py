"""Measure labels, and write the report page."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from monai_app.api.given import PathLike, StackLike, opened, path_of, several
from monai_app.api.segmentation import Labels, labels_name
from monai_app.errors import ConfigError
from monai_app.progress import Progress, Task, silent
from monai_app.stack import Stack
from monai_app.stack.html import html_table

if TYPE_CHECKING:
    from monai_app.quantities import Quantification, Quantity


@dataclass(frozen=True)
class Quantities:
    """The quantities of a label image.

    Attributes:
        found: all quantities.
    """

    found: "Quantification"

    @property
    def values(self) -> dict[str, Mapping[str, "Quantity"]]:
        """Name of the quantity -> name of the phase -> value with unit and interval."""
        return self.found.quantities

    def _repr_html_(self) -> str:
        from monai_app.quantities.report.text import reasons, text_rows

        title, *rows = text_rows(self.found)
        return html_table(rows, title, "; ".join(reasons(self.found)))


def quantify(
    stack: StackLike,
    labels: str | Labels,
    *,
    output: PathLike | None = None,
    z: str | None = None,
    y: str | None = None,
    x: str | None = None,
    mask: PathLike | None = None,
    measures: str | Sequence[str] | None = None,
    tortuosity: str | None = None,
    overwrite: bool = False,
    progress: Task = lambda name: nullcontext(silent),
) -> Quantities:
    """Measure the phases of a label image in physical units, as ``monai-app quantify`` does.

    Args:
        stack: the stack, opened or as a path.
        labels: the label image, or its name.
        output: folder for numbers, tables and figures; None writes nothing.
        z: slices to measure, ``"FIRST:END"`` with END excluded, or one; None means all.
        y: rows, likewise.
        x: columns, likewise.
        mask: image file, or name of a label image; only pixels above 0 are measured.
        measures: names of the measures to compute, or one; None means all.
        tortuosity: also measure the tortuosity of this phase.
        overwrite: replace an existing folder.
        progress: returns the progress callback of a measure, given its name.

    Returns:
        The quantities.

    Raises:
        ConfigError: a measure is unknown or cannot be computed, the region does not fit, nothing is segmented, or the
            labels are of another stack.
        StackError: there is no finished label image of that name, or it is damaged.
        TargetExistsError: the folder exists, and ``overwrite`` is false.
    """
    from monai_app.domain.region import Region
    from monai_app.quantities import StoredLabels, chosen_measures, tortuosity_measure
    from monai_app.quantities import quantify as take_measures
    from monai_app.quantities.report.folder import check_folder, write_folder

    folder = None if output is None else path_of(output, "output")
    if folder is not None:
        check_folder(folder, overwrite=overwrite)
    chosen = dict(chosen_measures(None if measures is None else several(measures)))
    source = opened(stack)
    where = Region.parse(z, y, x, source.shape)
    measured = StoredLabels(source, labels_name(labels, source), where, None if mask is None else str(mask))
    if tortuosity is not None:
        chosen["tortuosity"] = tortuosity_measure(measured, tortuosity)
    found = take_measures(measured, chosen, progress)
    if folder is not None:
        write_folder(found, folder, overwrite=overwrite)
    return Quantities(found)


def report(
    *sources: StackLike,
    output: PathLike,
    labels: str | None = None,
    pdf: PathLike | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Path:
    """Write one HTML page about a model, a stack and its quantities, as ``monai-app report`` does.

    Args:
        sources: any of: run folder, stack, folder of `quantify`, folder of ``monai-app study``.
        output: the page, ``NAME.html``.
        labels: name of the label image, if the stack has several.
        pdf: also print the page to this file, with an installed browser.
        overwrite: replace existing files.
        progress: called for every slice that is drawn.

    Returns:
        The page.

    Raises:
        ConfigError: sources do not belong together, a file has another suffix, or no browser is installed.
        TargetExistsError: a file exists, and ``overwrite`` is false.
    """
    if not sources:
        raise ConfigError("no source is given; give a run folder, a stack, or a folder of quantities or of a study")
    from monai_app.reporting.page import write_page
    from monai_app.reporting.pdf import find_browser, print_pdf
    from monai_app.reporting.sources import read_sources
    from monai_app.stack.places import check_targets

    page, printed = path_of(output, "output"), None if pdf is None else path_of(pdf, "pdf")
    check_targets({".html": page, ".pdf": printed}, overwrite=overwrite)
    if printed is not None:
        find_browser()
    paths = [each.path if isinstance(each, Stack) else path_of(each, "source") for each in sources]
    write_page(read_sources(paths, labels), page, progress)
    if printed is not None:
        print_pdf(page, printed)
    return page
