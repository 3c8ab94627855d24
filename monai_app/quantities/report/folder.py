"""The folder of a result: one JSON document, tables and figures."""

import json
from pathlib import Path

from monai_app.errors import ConfigError
from monai_app.files import atomic_directory, check_directory_target
from monai_app.quantities.quantification import Quantification
from monai_app.quantities.report.document import as_csv, as_document, phase_table
from monai_app.quantities.report.figures import write_figure
from monai_app.stack.places import check_outside_stores

DOCUMENT = "quantities.json"
"""File with the complete result."""


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Check the target of `write_folder` before the work starts.

    Raises:
        ConfigError: the folder lies in a store, or is a file.
        TargetExistsError: it exists and may not be replaced.
    """
    check_outside_stores(folder)
    if folder.is_file():
        raise ConfigError(f"{folder} is a file; give a folder for the result (--output)")
    check_directory_target(folder, DOCUMENT, overwrite=overwrite)


def write_folder(found: Quantification, folder: Path, *, overwrite: bool = False) -> None:
    """Write ``quantities.json``, ``phases.csv``, a CSV file per table and a picture per measure.

    Raises:
        TargetExistsError: the folder exists and may not be replaced.
        BusyError: another process writes it.
        StorageError: the disk is full or read-only.
    """
    with atomic_directory(folder, DOCUMENT, overwrite=overwrite) as partial:
        text = json.dumps(as_document(found), indent=1, allow_nan=False)
        (partial / DOCUMENT).write_text(text + "\n", encoding="utf8")
        (partial / "phases.csv").write_text(as_csv(phase_table(found)), encoding="utf8")
        for name, measured in found.measured.items():
            for table, content in measured.tables.items():
                (partial / f"{table}.csv").write_text(as_csv(content), encoding="utf8")
            if measured.panels:
                write_figure(measured.panels, found.labels.phases, partial / f"{name}.png")
