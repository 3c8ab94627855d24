"""Bytes of the result against numpy and scipy, and the rows that fill the store's chunks."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_app.domain.region import Rect, Region, Span
from monai_app.errors import ConfigError
from monai_app.inference.outputs import ChunkRows, Outputs
from monai_app.inference.tiling.plan import Tile
from monai_app.stack.ngff.layout import CHUNK


def random_logits(rows: int, columns: int, phases: int, scale: float = 3.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(rows + columns)
    return torch.randn((rows, columns, phases), generator=generator) * scale


@settings(deadline=None)
@given(
    sides=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    phases=st.integers(1, 5),
    scale=st.sampled_from([0.0, 0.1, 3.0, 500.0]),
    confidence=st.sampled_from(["none", "max", "entropy"]),
    probability=st.booleans(),
)
def test_bytes_are_those_of_numpy(
    sides: tuple[int, int], phases: int, scale: float, confidence: str, probability: bool
) -> None:
    logits = random_logits(*sides, phases, scale)
    planes = Outputs(confidence, probability).planes(logits)
    expected = scipy.special.softmax(logits.double().numpy(), -1)
    assert planes["labels"].dtype == np.uint8
    np.testing.assert_array_equal(planes["labels"], logits.numpy().argmax(-1) + 1)
    assert ("confidence" in planes) == (confidence != "none")
    assert ("probability" in planes) == probability
    if "confidence" in planes:
        sure = expected.max(-1)
        if confidence == "entropy" and phases > 1:
            sure = 1 - scipy.stats.entropy(expected, axis=-1) / np.log(phases)
        assert_bytes(planes["confidence"], sure)
    if "probability" in planes:
        assert planes["probability"].shape == (phases, *sides)
        assert_bytes(planes["probability"], np.moveaxis(expected, -1, 0))


def assert_bytes(given: np.ndarray, values: np.ndarray) -> None:
    """Whole numbers next to 255 times the values; at halves either neighbour."""
    assert given.dtype == np.uint8
    np.testing.assert_allclose(given, 255 * values, rtol=0, atol=0.501)


@pytest.mark.parametrize(
    ("logits", "confidence", "expected"),
    [
        ([0.0, 0.0], "max", 128),
        ([0.0, 0.0], "entropy", 0),
        ([0.0, 0.0, 0.0], "entropy", 0),
        ([900.0, 0.0], "max", 255),
        ([900.0, 0.0, 0.0], "entropy", 255),
        ([-5.0], "max", 255),
        ([-5.0], "entropy", 255),
    ],
)
def test_certain_and_undecided_pixels(logits: list[float], confidence: str, expected: int) -> None:
    planes = Outputs(confidence).planes(torch.tensor([[logits]]))
    assert planes["confidence"].tolist() == [[expected]]


def test_a_single_phase_is_everywhere_and_certain() -> None:
    planes = Outputs("entropy", True).planes(torch.randn(3, 4, 1))
    assert np.unique(planes["labels"]).tolist() == [1]
    assert np.unique([planes["confidence"], *planes["probability"]]).tolist() == [255]


def test_bfloat16_is_widened_before_the_softmax() -> None:
    logits = random_logits(20, 20, 3).bfloat16()
    given, expected = (Outputs("max", True).planes(values) for values in (logits, logits.float()))
    assert list(given) == list(expected) == ["labels", "confidence", "probability"]
    for name, plane in given.items():
        np.testing.assert_array_equal(plane, expected[name])


@pytest.mark.parametrize(
    ("outputs", "stored"),
    [
        (Outputs(), []),
        (Outputs("max"), [("confidence", False)]),
        (Outputs("entropy"), [("confidence", False)]),
        (Outputs(probability=True), [("probability", True)]),
        (Outputs("none, probability"), [("probability", True)]),
        (Outputs(["probability", "max"]), [("confidence", False), ("probability", True)]),
    ],
)
def test_the_maps_of_the_result_are_those_asked_for(outputs: Outputs, stored: list[tuple[str, bool]]) -> None:
    assert [(output.name, output.per_phase) for output in outputs.maps] == stored


def test_outputs_that_are_unknown_or_have_one_place_are_refused() -> None:
    with pytest.raises(ConfigError, match="confidence 'margin': must be one of none, max, entropy, probability"):
        Outputs("margin")
    with pytest.raises(ConfigError, match="max and entropy would be stored under the same name; choose one"):
        Outputs("max,entropy")


TILE = Tile(0, Region(Span(5, 6), Span(1000, 3300), Span(10, 14)), Rect(Span(992, 3312), Span(8, 16)))


@settings(deadline=None, max_examples=40)
@given(
    cuts=st.sets(st.integers(1, 2319), max_size=8),
    outputs=st.sampled_from([Outputs(), Outputs("max"), Outputs("none", True), Outputs("entropy", True)]),
)
def test_whatever_the_pieces_full_rows_of_chunks_come(cuts: set[int], outputs: Outputs) -> None:
    logits = random_logits(*TILE.read.shape, 3)
    expected = outputs.planes(logits[8:2308, 2:6])
    collected, edges = ChunkRows(TILE, 5), [0, *sorted(cuts), len(TILE.read.y)]
    given = [part for first, stop in pairwise(edges) for part in collected.add(first, logits[first:stop], outputs)]
    rows = [Span(1000, 1024), Span(1024, 2048), Span(2048, 3072), Span(3072, 3300)]
    assert [rect for rect, _ in given] == [Rect(span, Span(10, 14)) for span in rows]
    for rect, planes in given:
        assert planes["labels"].shape == rect.shape
        assert planes.keys() == expected.keys()
    for name, plane in expected.items():
        np.testing.assert_array_equal(np.concatenate([planes[name] for _, planes in given], -2), plane)


def test_rows_come_as_soon_as_a_chunk_is_full() -> None:
    write = replace(TILE.write, y=Span(CHUNK, 2 * CHUNK + 8))
    tile = Tile(0, write, Rect(Span(CHUNK - 8, 2 * CHUNK + 16), Span(8, 16)))
    logits, collected = random_logits(*tile.read.shape, 2), ChunkRows(tile, 5)
    assert not list(collected.add(0, logits[:8], Outputs()))
    assert not list(collected.add(8, logits[8 : CHUNK + 7], Outputs()))
    ((rect, planes),) = collected.add(CHUNK + 7, logits[CHUNK + 7 : CHUNK + 9], Outputs())
    assert rect == Rect(Span(CHUNK, 2 * CHUNK), Span(10, 14))
    assert planes["labels"].shape == (CHUNK, 4)
    ((rect, planes),) = collected.add(CHUNK + 9, logits[CHUNK + 9 :], Outputs())
    assert rect == Rect(Span(2 * CHUNK, 2 * CHUNK + 8), Span(10, 14))
    assert planes["labels"].shape == (8, 4)
