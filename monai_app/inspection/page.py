"""A self-contained HTML page about a stack."""

from base64 import b64encode
from io import BytesIO
from pathlib import Path

import jinja2
import numpy as np
import numpy.typing as npt
from matplotlib.image import imsave

from monai_app import __version__
from monai_app.files import atomic_file
from monai_app.inspection.inspect import Inspection
from monai_app.inspection.labels import per_role
from monai_app.inspection.measuring.table import MEASURES
from monai_app.inspection.picture import ODD, draw, thumbnail
from monai_app.inspection.report import stack_lines, summary, usual_rows
from monai_app.pictures import as_png, colour_labels

_LABELLED = 12
"""Annotated slices that are shown."""

_SIDE = 480
"""Longest side of an annotated slice, pixels."""

_OPACITY = 0.45
"""Of labels over the image."""


def write_page(inspection: Inspection, path: Path) -> None:
    """Write findings, usual values, all measures, pictures and annotations of a stack as one HTML file.

    Names are escaped, and the page may neither run nor load anything.

    Raises:
        StackError: a slice cannot be read again.
        StorageError: the disk is full or read-only.
    """
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("monai_app.inspection", "."), autoescape=True, undefined=jinja2.StrictUndefined
    )
    text = templates.get_template("page.html").render(
        version=__version__,
        colour=ODD,
        images=inspection.images,
        lines=list(stack_lines(inspection)),
        summary=summary(inspection),
        findings=inspection.findings,
        usual=usual_rows(inspection),
        picture=_embedded(as_png(draw(inspection))),
        measures=MEASURES,
        rows=_rows(inspection),
        counts=inspection.labels,
        roles=per_role(inspection.labels),
        overlays=_overlays(inspection),
    )
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf8")


def _rows(inspection: Inspection) -> list[tuple[bool, list[str]]]:
    """Every measure of every slice and detector, as text, and whether the slice is odd."""
    odd = {z for finding in inspection.findings for z in finding.slices}
    rows = []
    for z, name in enumerate(inspection.images.names):
        for detector in inspection.table.detectors:
            values = (inspection.table.values[detector][measure][z] for measure in MEASURES)
            cells = [
                "" if np.isnan(value) else f"{value * each.scale:.{each.digits}f}"
                for value, each in zip(values, MEASURES.values(), strict=True)
            ]
            rows.append((z in odd, [str(z), name, detector, *cells]))
    return rows


def _overlays(inspection: Inspection) -> list[tuple[str, str]]:
    """Captions and pictures of annotated slices, the labels in their colours over the first detector."""
    images, detector = inspection.images, inspection.table.detectors[0]
    shown = []
    for count in inspection.labels[:_LABELLED]:
        grey = thumbnail(inspection, detector, count.z, _SIDE)
        labels = images.labels(count.z)
        step = -(-max(labels.shape) // _SIDE)
        blended = _blend(grey, labels[::step, ::step][: grey.shape[0], : grey.shape[1]], inspection)
        with BytesIO() as file:
            imsave(file, blended, format="png")
            caption = f"slice {count.z} ({images.names[count.z]}), {count.role}"
            shown.append((caption, _embedded(file.getvalue())))
    return shown


def _blend(grey: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8], inspection: Inspection) -> npt.NDArray[np.uint8]:
    picture = np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
    mixed = (1 - _OPACITY) * picture + _OPACITY * colour_labels(labels, inspection.images.phases)
    picture[labels > 0] = mixed[labels > 0]
    return picture.astype(np.uint8)


def _embedded(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode('ascii')}"
