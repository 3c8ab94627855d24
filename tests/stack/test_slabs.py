"""Arrays in memory read like a store."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_app.domain.region import Rect, Span
from monai_app.errors import ConfigError, StackError
from monai_app.stack import ArrayStack, ingest
from tests.stack.samples import SampleFolder, pixels

PIXELS = np.random.default_rng(0).integers(0, 65536, (2, 5, 7, 9), np.uint16)


@given(
    z=st.integers(0, 4),
    reach=st.integers(0, 6),
    detectors=st.lists(st.sampled_from(["ICE", "TLD"]), min_size=1, unique=True),
    rows=st.tuples(st.integers(0, 6), st.integers(1, 7)).map(sorted),
)
def test_slab_is_a_part_of_the_edge_padded_volume(z: int, reach: int, detectors: list[str], rows: list[int]) -> None:
    stack = ArrayStack(["ICE", "TLD"], PIXELS)
    assert (stack.shape, stack.dtype) == ((5, 7, 9), np.dtype(np.uint16))
    channels = [("ICE", "TLD").index(name) for name in detectors]
    padded = np.pad(PIXELS[channels], [(0, 0), (reach, reach), (0, 0), (0, 0)], mode="edge")
    expected = padded[:, z : z + 2 * reach + 1].swapaxes(0, 1).reshape(-1, 7, 9)[:, slice(*rows), 2:8]
    slab = stack.read_slab(z, detectors, 2 * reach + 1, Rect(Span(*rows), Span(2, 8)))
    np.testing.assert_array_equal(slab, expected)


def test_what_is_no_stack_is_refused() -> None:
    for wrong, message in [
        (PIXELS[0], r"shape \(5, 7, 9\): give \(detectors, slices, rows, columns\)"),
        (PIXELS[:, :0], "none of them 0"),
        (PIXELS.astype(float), "float64: must be uint8 or uint16"),
        (PIXELS[:1], "ICE, TLD: the pixels are of 1"),
    ]:
        with pytest.raises(StackError, match=message):
            ArrayStack(["ICE", "TLD"], wrong)
    with pytest.raises(StackError, match="a different name"):
        ArrayStack(["ICE", "ICE"], PIXELS)
    stack = ArrayStack(["ICE", "TLD"], PIXELS)
    with pytest.raises(StackError, match="slice 5 does not exist; arrays in memory has slices 0 to 4"):
        stack.read_slab(5, ["ICE"], 1)
    with pytest.raises(ConfigError, match="'SE' does not exist; arrays in memory has ICE, TLD"):
        stack.read_slab(0, ["SE"], 1)


def test_an_overview_is_the_smallest_level_of_the_store(tmp_path: Path) -> None:
    folder = SampleFolder(tmp_path)
    for seed, name in enumerate(("ICE", "TLD")):
        folder.detector(name, pixels(2, 1030, 701, seed=seed))
    stack = ingest(folder.write(), folder.target)
    arrays = ArrayStack(["ICE", "TLD"], np.stack([folder.images[name] for name in ("ICE", "TLD")]))
    found = stack.read_overview(1, ["TLD"])
    assert found.shape == (1, 258, 176)
    np.testing.assert_array_equal(found, arrays.read_overview(1, ["TLD"]))
    np.testing.assert_array_equal(stack.read_level(2, 1, "TLD"), found[0])
    np.testing.assert_array_equal(stack.read_level(0, 1, "TLD"), folder.images["TLD"][1])
