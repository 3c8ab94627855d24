"""A stack whose pixels, labels and confidence are known everywhere."""

import numpy as np
import pytest

from monai_app.domain.region import Rect
from monai_app.stack import Stack, ingest
from monai_app.stack.label_images.arrays import LABELS, Map
from tests.stack.samples import SampleFolder

SHAPE = SLICES, ROWS, COLUMNS = 3, 64, 600
"""Voxels are 20 x 10 x 5 nm."""


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Two 16-bit detectors in two levels; labels ``u+net`` with confidence, ``other`` of one slice; an annotation."""
    folder = SampleFolder(tmp_path_factory.mktemp("viewer"))
    z, y, x = np.indices(SHAPE)
    greys = (4000 * (1 + z + x * 4 // COLUMNS) + 10000 * (y * 2 // ROWS)).astype(np.uint16)
    folder.detector("ICE", greys)
    folder.detector("TLD", 40000 - greys)
    folder.annotate({1: np.full(SHAPE[1:], 7, np.uint8)}, train=[1], test=[])
    made = ingest(folder.write(), folder.target)
    write(made, "u+net", range(SLICES), (Map("confidence", per_phase=False),))
    write(made, "other", range(1), ())
    return made


def write(stack: Stack, name: str, zs: range, maps: tuple[Map, ...]) -> None:
    """Write labels: 0 in the left quarter, then the two phases; confidence: 0 in the upper half, 255 in the lower."""
    _, y, x = np.indices(SHAPE)[:, 0]
    planes = {LABELS: np.array([0, 1, 2, 2], np.uint8)[x * 4 // COLUMNS]}
    planes |= {each.name: (255 * (y * 2 // ROWS)).astype(np.uint8) for each in maps}
    with stack.write_result(name, fingerprint={}, maps=maps) as result:
        for z in zs:
            result.arrays.write(z, Rect.whole(SHAPE), planes)
        result.finish(zs)
