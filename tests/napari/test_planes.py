"""The array that napari paints on: it answers as NumPy's does, and holds in memory what was painted alone."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from monai_app.napari.planes import Planes

WHOLE = np.random.default_rng(0).integers(0, 4, (5, 6, 7)).astype(np.uint8)
FANCY = tuple(np.array(index) for index in ([4, 0, 4, 2], [5, 0, 1, 3], [6, 0, 2, 3]))
KEYS: list[Any] = [
    2,
    (2, 3, 4),
    (np.int64(2), slice(None), slice(None)),
    (slice(1, 4), slice(2, 5), slice(None, None, 2)),
    (slice(3, 4), slice(None), 2),
    FANCY,
    tuple(index.astype(np.uint8) for index in FANCY),
]


def planes_of(read: list[int]) -> Planes:
    def plane(z: int) -> npt.NDArray[np.uint8]:
        read.append(z)
        found: npt.NDArray[np.uint8] = WHOLE[z].copy()
        return found

    return Planes(WHOLE.shape, plane)


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_it_is_indexed_as_an_array(key: Any) -> None:
    np.testing.assert_array_equal(planes_of([])[key], WHOLE[key])


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
@pytest.mark.parametrize("scalar", [True, False])
def test_it_is_painted_as_an_array(key: Any, scalar: bool) -> None:
    planes, expected = planes_of([]), WHOLE.copy()
    value = 9 if scalar else (WHOLE[key] + 5)
    planes[key] = value
    expected[key] = value
    np.testing.assert_array_equal(np.asarray(planes), expected)
    changed = {z for z in range(5) if (expected[z] != WHOLE[z]).any()}
    assert planes.painted.keys() == changed


def test_only_what_was_painted_stays_in_memory() -> None:
    read: list[int] = []
    planes = planes_of(read)
    for z in (0, 0, 1, 2):
        planes.plane(z)
    planes[1, 0, 0] = 3
    for z in (1, 0, 1):
        planes.plane(z)
    assert read == [0, 1, 2, 1, 0]
    planes.drop(1)
    assert planes[1, 0, 0] == WHOLE[1, 0, 0]
    assert not planes.painted
