"""Grey values of any type as uint8 or uint16: one affine for the whole stack."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from monai_app.errors import ConfigError, StackError
from monai_app.io.grey import GreyMapping, value_range
from monai_app.stack import SampleDescription, Stack, ingest
from tests.stack.samples import SampleFolder, edit_own, pixels, write_folder


@given(
    values=st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=9),
    low=st.integers(-(2**15), 0),
    span=st.integers(1, 2**16),
)
def test_the_mapping_is_one_affine(values: list[int], low: int, span: int) -> None:
    mapping, plane = GreyMapping(low, low + span, "uint16"), np.array([values], np.int16)
    inside = all(low <= value <= low + span for value in values)
    if not inside:
        with pytest.raises(StackError, match=rf"outside 'grey: {{from: \[{low}, {low + span}\]"):
            mapping.apply(plane)
        return
    grey = mapping.apply(plane)
    assert grey.dtype == np.uint16
    np.testing.assert_allclose(grey[0], [(value - low) * 65535 / span for value in values], atol=0.5 + 1e-6)
    inverted = GreyMapping(low, low + span, "uint16", inverted=True).apply(plane)
    np.testing.assert_array_equal(inverted, 65535 - grey)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_the_range_that_an_error_names_holds_the_values(low: float, span: float) -> None:
    plane = np.array([[low, low + span]])
    with pytest.raises(StackError) as refused:
        GreyMapping(low + span, low + 2 * span, "uint8").apply(plane)
    named = re.search(r"values from (\S+) to (\S+), outside", str(refused.value))
    assert named is not None
    assert GreyMapping(float(named[1]), float(named[2]), "uint8").apply(plane).tolist() == [[0, 255]]


def test_files_of_which_some_call_0_white_are_refused(tmp_path: Path) -> None:
    sample = described(tmp_path, pixels(4, 9, 9, "uint8"), {"inverted": True}, photometric="miniswhite")
    name = "slice_2.tif"
    tifffile.imwrite(tmp_path / "ICE" / name, pixels(1, 9, 9, "uint8")[0], photometric="minisblack")
    with pytest.raises(StackError, match=rf"0 is white but {name} that it is black"):
        ingest(sample.write(), sample.target)
    with tifffile.TiffWriter(tmp_path / "both.tif") as writer:
        for kind in ("miniswhite", "minisblack"):
            writer.write(pixels(1, 9, 9, "uint8")[0], photometric=kind, contiguous=False, metadata=None)
    sample.content["detectors"] = {"ICE": "both.tif"}
    with pytest.raises(StackError, match="0 is white on some of its pages"):
        ingest(sample.write(), sample.target)


def test_nan_and_infinity_are_outside() -> None:
    for value in (np.nan, np.inf, -np.inf):
        with pytest.raises(StackError, match="it holds values from"):
            GreyMapping(-9, 9, "uint8").apply(np.array([[1, value]], np.float32))
    assert value_range([np.array([[np.nan, 1.5]]), np.array([[-2.0, np.inf]])]) == (-2, 1.5)


def described(root: Path, stack: Any, grey: dict[str, Any] | None, **options: Any) -> SampleFolder:
    sample = SampleFolder(root)
    sample.detector("ICE", stack, **options)
    if grey is not None:
        sample.content["grey"] = grey
    return sample


def stored(stack: Stack) -> Any:
    return np.concatenate([stack.read_slab(z, ["ICE"], 1) for z in range(stack.shape[0])])


def test_signed_values_with_an_offset(tmp_path: Path) -> None:
    stack = pixels(3, 9, 9, "uint16").astype(np.int32) - 2**15
    sample = described(tmp_path, stack.astype(np.int16), {"from": [-(2**15), 2**15 - 1], "to": "uint16"})
    store = ingest(sample.write(), sample.target)
    np.testing.assert_array_equal(stored(store), stack + 2**15)


def test_fractions_of_a_file_of_all_slices(tmp_path: Path) -> None:
    """And what they became stands in the store, sealed."""
    stack = pixels(3, 9, 9).astype(np.float32) / 255
    sample = SampleFolder(tmp_path)
    tifffile.imwrite(tmp_path / "ice.tif", stack, photometric="minisblack")
    sample.content |= {"detectors": {"ICE": "ice.tif"}, "grey": {"from": [0.0, 1.0], "to": "uint8"}}
    store = ingest(sample.write(), sample.target)
    np.testing.assert_array_equal(stored(store), np.rint(stack * 255))

    def check(own: dict[str, Any]) -> None:
        assert own["grey"] == {"ICE": {"low": 0.0, "high": 1.0, "to": "uint8", "inverted": False}}
        own["grey"]["ICE"]["low"] = 0.5

    edit_own(store.path / "zarr.json", check, renewed=True)
    assert Stack.open(store.path).dtype == np.uint8
    edit_own(store.path / "zarr.json", lambda own: own["grey"]["ICE"].update(to="int8"), renewed=True)
    with pytest.raises(StackError, match="grey::ICE::to"):
        Stack.open(store.path)


def test_values_outside_name_the_range_that_would_do(tmp_path: Path) -> None:
    stack = np.linspace(0, 1, 3 * 9 * 9, dtype=np.float32).reshape(3, 9, 9)
    stack[2, 0, 0] = 7.5
    sample = described(tmp_path, stack, {"from": [0.0, 1.0], "to": "uint8"})
    with pytest.raises(StackError, match=r"slice_2\.tif: it holds values from .* to 7\.5, outside .*from: \[0, 7\.5\]"):
        ingest(sample.write(), sample.target)
    assert not sample.target.exists()


def test_every_detector_may_have_a_range_of_its_own(tmp_path: Path) -> None:
    stack, other = pixels(3, 9, 9, "uint16"), pixels(3, 9, 9, "uint16", seed=1) // 4
    sample = described(tmp_path, stack, {"from": [0, 65535], "to": "uint8"})
    write_folder(tmp_path / "TLD", other)
    sample.content["detectors"]["TLD"] = {"source": "TLD", "grey": {"from": [0, 16383], "to": "uint8"}}
    store = ingest(sample.write(), sample.target)
    np.testing.assert_array_equal(stored(store), np.rint(stack / 257))
    np.testing.assert_array_equal(store.read_slab(1, ["TLD"], 1)[0], np.rint(other[1] * (255 / 16383)))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_inverted_values_are_turned_on_request(tmp_path: Path, dtype: str) -> None:
    stack = pixels(3, 9, 9, dtype)
    sample = described(tmp_path, stack, None, photometric="miniswhite")
    with pytest.raises(StackError, match=r"stored inverted .*'grey: \{inverted: true\}'"):
        ingest(sample.write(), sample.target)
    sample.content["grey"] = {"inverted": True}
    np.testing.assert_array_equal(stored(ingest(sample.write(), sample.target)), np.iinfo(dtype).max - stack)


@pytest.mark.parametrize(
    ("grey", "message"),
    [
        ({}, "grey: has no effect"),
        ({"from": [0, 1]}, "'from' and 'to' belong together"),
        ({"to": "uint8"}, "'from' and 'to' belong together"),
        ({"from": [1, 1], "to": "uint8"}, r"from: \[1\.0, 1\.0\] is not a range"),
        ({"from": [1, 2], "to": "int16"}, "grey::to: 'int16' is not one of uint8, uint16"),
        ({"from": [1], "to": "uint8"}, "grey::from"),
    ],
)
def test_refuses_descriptions(tmp_path: Path, grey: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SampleDescription.from_yaml(described(tmp_path, pixels(1, 9, 9), grey).write())
