import numpy as np
import pytest

from monai_app.domain.training_stack import QUANTILES, ChannelStats, TrainingStack, differences

SCALING = {"SE": ChannelStats(mean=100, std=20)}


def stack(name: str, shift: float = 0, voxel: tuple[float, float, float] = (20, 10, 10)) -> TrainingStack:
    greys = tuple(float(100 + shift + grey) for grey in np.linspace(-30, 30, QUANTILES))
    return TrainingStack(name=name, identity=name, voxel_nm=voxel, greys={"SE": greys})


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (stack("alike", shift=9), []),
        (stack("far", shift=11), ["grey values of SE in far differ from those in b"]),
        (stack("dark", shift=-60), ["3.00 standard deviations (20)"]),
        (stack("thick", voxel=(29, 10, 10)), []),
        (stack("thick", voxel=(31, 10, 10)), ["thick are 31 x 10 x 10 nm (z, y, x) and those of a"]),
        (stack("fine", voxel=(20, 4, 4)), ["b, which the model was trained on, 20 x 8 x 8 nm: up to a factor of 2"]),
        (stack("a", shift=90, voxel=(90, 90, 90)), []),
    ],
)
def test_a_stack_is_compared_with_the_nearest_that_was_trained_on(other: TrainingStack, told: list[str]) -> None:
    known = [stack("a"), stack("b", voxel=(20, 8, 8))]
    if other.name == "far":
        known = [stack("a", shift=-5), stack("b")]
    lines = differences(known, SCALING, other)
    assert len(lines) == len(told)
    assert all(text in line for text, line in zip(told, lines, strict=True))


def test_there_is_no_warning_without_information() -> None:
    assert differences([], SCALING, stack("far", shift=90, voxel=(90, 90, 90))) == []
