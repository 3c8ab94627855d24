from collections.abc import Hashable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor

from monai_app.errors import AnnotationError, AppError, StackError
from monai_app.stack import Stack
from monai_app.transforms import LoadAnnotationd, LoadSlabd, PhaseLabelsd, class_indices, measure_scaling
from tests.specs import normaliser, spec_of


def item(stack: Stack, z: int) -> dict[Hashable, Any]:
    return {"image": str(stack.path), "label": str(stack.path), "z": z}


def test_a_slab_stacks_detectors_and_neighbours_slice_major(tiny_stack: Stack) -> None:
    slab = LoadSlabd("image", spec_of(["TLD", "ICE"], 3))(item(tiny_stack, 4))["image"]
    assert isinstance(slab, MetaTensor)
    assert slab.dtype == torch.float32
    expected = [tiny_stack.read_slab(z, [name], 1)[0] for z in (3, 4, 5) for name in ("TLD", "ICE")]
    np.testing.assert_array_equal(slab.numpy(), np.stack(expected))


@pytest.mark.parametrize(("z", "order"), [(0, (0, 0, 0, 1, 2)), (7, (5, 6, 7, 7, 7))])
def test_edge_slices_repeat_the_end_slice(tiny_stack: Stack, z: int, order: tuple[int, ...]) -> None:
    slab = LoadSlabd("image", spec_of(["ICE"], 5))(item(tiny_stack, z))["image"]
    expected = np.stack([tiny_stack.read_slab(each, ["ICE"], 1)[0] for each in order])
    np.testing.assert_array_equal(slab.numpy(), expected)


def test_a_detector_the_stack_does_not_have_is_named(tiny_stack: Stack) -> None:
    with pytest.raises(AppError, match="'ETD'"):
        LoadSlabd("image", spec_of(["ETD"], 1))(item(tiny_stack, 0))


def test_pixels_of_another_type_than_the_models_are_refused(tiny_stack: Stack) -> None:
    LoadSlabd("image", spec_of(["ICE"], 1))(item(tiny_stack, 0))
    with pytest.raises(StackError, match=r"are uint8, but the model was trained on uint16"):
        LoadSlabd("image", spec_of(["ICE"], 1, dtype="uint16"))(item(tiny_stack, 0))


def test_annotations_are_read_with_their_shape_and_values(tiny_stack: Stack) -> None:
    label = LoadAnnotationd("label")(item(tiny_stack, 3))["label"]
    assert label.shape == (1, 96, 80)
    assert label.dtype == torch.uint8
    assert not label[0, :8].any()
    assert set(np.unique(label[0, 8:])) == {1, 2, 3}
    with pytest.raises(AnnotationError, match="slice 2"):
        LoadAnnotationd("label")(item(tiny_stack, 2))


def test_scaling_is_per_detector_and_fixed(tiny_stack: Stack) -> None:
    scaling = {"ICE": {"mean": 10.0, "std": 2.0}, "TLD": {"mean": 100.0, "std": 50.0}}
    slab = MetaTensor(torch.full((6, 2, 2), 110.0))
    scaled = normaliser(spec_of(slices=3, scaling=scaling))(slab)
    assert scaled[:, 0, 0].tolist() == [50.0, pytest.approx(0.2)] * 3


@given(st.integers(0, 60), st.integers(0, 40))
def test_scaling_does_not_depend_on_the_tile(tiny_stack: Stack, top: int, left: int) -> None:
    scale = normaliser(spec_of(slices=1, scaling=measure_scaling([(tiny_stack, 1)], ["ICE", "TLD"])))
    whole = torch.from_numpy(tiny_stack.read_slab(2, ["ICE", "TLD"], 1).astype(np.float32))
    window = (slice(None), slice(top, top + 20), slice(left, left + 20))
    assert torch.equal(scale(whole[window].clone()), scale(whole.clone())[window])


def test_scaling_is_measured_on_the_training_slices(tiny_stack: Stack) -> None:
    pixels = np.stack([tiny_stack.read_slab(z, ["TLD"], 1)[0] for z in (1, 3, 5)]).astype(float)
    scaling = measure_scaling([(tiny_stack, z) for z in (1, 3, 5)], ["TLD"])["TLD"]
    assert scaling.mean == pytest.approx(pixels.mean(), abs=1e-3)
    assert scaling.std == pytest.approx(pixels.std(), abs=1e-3)


def test_labels_are_phases_from_one() -> None:
    logits = torch.tensor([[[1.0, 0.0]], [[0.0, 3.0]]])
    labels = PhaseLabelsd("pred")({"pred": logits})["pred"]
    assert labels.dtype == torch.uint8
    assert labels.tolist() == [[[1, 2]]]


def test_classes_are_labels_from_zero_and_unlabelled_pixels_are_ignored() -> None:
    assert class_indices(torch.tensor([[0, 1, 3]], dtype=torch.uint8)).tolist() == [[-1, 0, 2]]
