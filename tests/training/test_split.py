from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_app.errors import AnnotationError, ConfigError
from monai_app.stack import Stack
from monai_app.training.split import split_blocks, split_stack, split_stacks
from monai_app.transforms import LoadAnnotationd


@st.composite
def annotations(draw: st.DrawFn) -> tuple[dict[int, np.ndarray], int, int]:
    """Random masks: rectangles of random phases on slices that are mostly unlabelled."""
    rows, columns, phases = draw(st.integers(20, 90)), draw(st.integers(20, 90)), draw(st.integers(1, 5))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    slices = {}
    for z in draw(st.lists(st.integers(0, 50), min_size=1, max_size=4, unique=True)):
        labels = np.zeros((rows, columns), np.uint8)
        for _ in range(draw(st.integers(1, 12))):
            top, left = rng.integers(0, rows), rng.integers(0, columns)
            labels[top : top + rng.integers(5, 40), left : left + rng.integers(5, 40)] = rng.integers(0, phases + 1)
        slices[z] = labels
    return slices, phases, draw(st.sampled_from([8, 16, 32]))


@given(annotations(), st.integers(0, 5))
@settings(deadline=None, max_examples=150)
def test_no_training_pixel_lies_in_a_validation_block(
    sample: tuple[dict[int, npt.NDArray[np.uint8]], int, int], seed: int
) -> None:
    slices, phases, block = sample
    try:
        split = split_blocks(slices, phases, 0.25, block, seed)
    except AnnotationError:
        return  # fewer than two blocks hold labels
    training, validation = split.training, split.validation
    total = sum(int((labels > 0).sum()) for labels in slices.values())
    sides = [sum(int((labels[mask[z]] > 0).sum()) for z, labels in slices.items()) for mask in (training, validation)]
    assert sum(sides) == total
    assert min(sides) > 0
    for z in slices:
        assert not (training[z] & validation[z]).any()
        for block_z, rect in split.blocks:
            if block_z == z:
                assert not training[z][rect.index].any()


@pytest.mark.parametrize("seed", range(3))
def test_a_quarter_of_the_area_validates_and_each_slice_and_phase_takes_part(seed: int) -> None:
    rng = np.random.default_rng(seed)
    slices = {z: rng.choice([1, 2, 3], size=(256, 320), p=[0.7, 0.29, 0.01]).astype(np.uint8) for z in (4, 9, 20)}
    split = split_blocks(slices, 3, 0.25, 32, seed)
    masks = split.validation
    for k in (1, 2, 3):
        share = sum(((labels == k) & masks[z]).sum() for z, labels in slices.items())
        assert share / sum((labels == k).sum() for labels in slices.values()) == pytest.approx(0.25, abs=0.05)
    for mask in masks.values():
        assert mask.mean() == pytest.approx(0.25, abs=0.05)


def test_a_rare_phase_in_two_blocks_gets_onto_both_sides() -> None:
    labels = np.ones((128, 128), np.uint8)
    labels[3, 3], labels[100, 100] = 2, 2
    masks = split_blocks({0: labels}, 2, 0.25, 32).validation
    assert ((labels == 2) & masks[0]).sum() == 1


def test_the_same_seed_gives_the_same_split() -> None:
    labels = {0: np.ones((128, 128), np.uint8)}
    assert split_blocks(labels, 1, seed=3) == split_blocks(labels, 1, seed=3)


def test_blocks_shrink_until_there_is_a_choice() -> None:
    assert len(split_blocks({0: np.ones((64, 64), np.uint8)}, 1, 0.25, 128).blocks) == 1


@pytest.mark.parametrize(("fraction", "block"), [(0.0, 32), (1.0, 32), (0.25, 0)])
def test_values_out_of_range_are_refused(fraction: float, block: int) -> None:
    with pytest.raises(ConfigError, match="0 < fraction < 1"):
        split_blocks({0: np.ones((64, 64), np.uint8)}, 1, fraction, block)


def test_of_very_many_pixels_a_million_validates() -> None:
    slices = {z: np.ones((1024, 512), np.uint8) for z in (0, 1)}
    assert len(split_blocks(slices, 1, 0.25, 64).blocks) == 64
    split = split_blocks(slices, 1, 0.25, 64, most=2**16)
    assert [len([z for z, _ in split.blocks if z == each]) for each in slices] == [8, 8]


def test_no_slice_gives_all_its_labels_away() -> None:
    """One small annotated patch a slice, smaller than a block: the blocks shrink until each patch can be shared."""
    slices = {z: np.zeros((256, 256), np.uint8) for z in (2, 5, 9)}
    for labels in slices.values():
        labels[10:70, 10:70] = 1
    split = split_blocks(slices, 1, 0.25, 128)
    for z, labels in slices.items():
        assert ((labels > 0) & split.training[z]).any()


def test_a_slice_of_one_block_trains_however_much_shall_validate() -> None:
    slices = {z: np.zeros((16, 32), np.uint8) for z in (3, 8)}
    slices[3][:8, :8], slices[8][:8] = 2, 1
    split = split_blocks(slices, 2, 0.75, 8)
    assert [z for z, _ in split.blocks] == [8, 8, 8]
    assert all(((labels > 0) & split.training[z]).any() for z, labels in slices.items())


def test_too_few_labels_are_refused() -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[0, 0] = 1
    with pytest.raises(AnnotationError, match="1 block"):
        split_blocks({0: labels}, 1, block=16)


def test_transforms_keep_the_two_sides_apart(tiny_stack: Stack) -> None:
    path = str(tiny_stack.path)
    split = split_stacks([path], 0.25, 32)
    assert split.splits[path] == split_stack(tiny_stack, 0.25, 32)
    for z in tiny_stack.train_slices:
        item: Any = {"label": path, "z": z}
        train, valid = (LoadAnnotationd("label", kept)(item)["label"][0] for kept in (split.training, split.validation))
        assert not ((train > 0) & (valid > 0)).any()
        np.testing.assert_array_equal(train + valid, tiny_stack.read_annotation(z))


def test_without_a_limit_as_in_earlier_configs_a_fraction_validates(
    tiny_stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tiny_stack.path)
    (limited,), (free,) = (split_stacks([path], 0.25, 16, 0, *most).splits.values() for most in ([200], []))
    assert sum(rect.shape[0] * rect.shape[1] for _, rect in limited.blocks) < 1000
    assert len(free.blocks) > len(limited.blocks)
