"""Stacks that `ingest` is to align."""

import numpy as np
import tifffile

from tests.bad_input.row import Make, Place, edit_text, refused
from tests.bad_input.rows.descriptions import DETECTORS, LINE

ALIGN = f"{LINE} --align"


def noise(*detectors: str) -> Make:
    """Replace images of detectors by noise."""

    def make(place: Place) -> None:
        rng = np.random.default_rng(0)
        for detector in detectors:
            for path in sorted((place.copy("SAMPLE") / detector).iterdir()):
                tifffile.imwrite(path, rng.integers(0, 255, tifffile.imread(path).shape, np.uint8))

    return make


def one_detector(place: Place) -> None:
    edit_text(place.copy("SAMPLE") / "sample.yaml", DETECTORS, "detectors: {ICE: ICE}")


def small(place: Place) -> None:
    """Cut all images and labels to 24 rows."""
    for path in place.copy("SAMPLE").rglob("*.tif"):
        tifffile.imwrite(path, tifffile.imread(path)[20:44])


def file_as_report(place: Place) -> None:
    (place.folder / "report").write_text("mine")


ROWS = [
    refused("`--align` of nothing", ALIGN, "--align"),
    refused("`--align` of what there is not", f"{ALIGN} phases", "'phases'"),
    refused("a transform that there is not", f"{ALIGN} both --align-transform elastic", "'elastic'"),
    refused("something to keep that there is not", f"{ALIGN} both --align-keep 5", "'5'"),
    refused("how to align, and not what", f"{LINE} --align-transform rigid", "--align both"),
    refused("a report of no alignment", f"{LINE} --align-report report", "--align both"),
    refused("a detector to align upon that there is not", f"{ALIGN} both --align-reference SE", "'SE'", "ICE, TLD"),
    refused("aligning the detectors of one detector", f"{ALIGN} detectors", "only detector", make=one_detector),
    refused("aligning slices of 24 rows", f"{ALIGN} slices", "24 x 80", make=small),
    refused(
        "aligning a detector of noise", f"{ALIGN} detectors", "ICE and TLD", "nothing in common", make=noise("TLD")
    ),
    refused("aligning slices of noise", f"{ALIGN} slices", "anything in common", make=noise("ICE", "TLD")),
    refused("a report that is a file", f"{ALIGN} both --align-report report", "report is a file", make=file_as_report),
    refused("a report inside the new store", f"{ALIGN} both --align-report new.ome.zarr/report", "new.ome.zarr"),
    refused("a report inside another store", f"{ALIGN} both --align-report STACK", "tiny.ome.zarr"),
]
