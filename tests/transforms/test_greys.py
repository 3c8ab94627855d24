import numpy as np

from monai_app.domain.region import Rect, Span
from monai_app.domain.training_stack import MOST_GREY_DISTANCE, QUANTILES, grey_distance
from monai_app.stack import ArrayStack, Stack
from monai_app.transforms import measure_greys


def test_quantiles_are_those_of_numpy_whatever_the_type() -> None:
    rng = np.random.default_rng(0)
    grey = rng.gamma(9, 10, (2, 5, 40, 30)).clip(0, 255)
    for pixels, factor in ((grey.astype(np.uint8), 1), ((grey * 200).astype(np.uint16), 200)):
        greys = measure_greys(ArrayStack(["a", "b"], pixels), ["b", "a"])
        parts = (np.arange(QUANTILES) + 0.5) / QUANTILES
        assert list(greys) == ["b", "a"]
        np.testing.assert_allclose(greys["b"], np.quantile(pixels[1], parts), atol=factor)


def test_of_a_large_slice_evenly_spaced_pieces_are_read() -> None:
    read: list[tuple[int, Rect]] = []

    class Large(ArrayStack):
        def _plane(self, channel: int, z: int, rect: Rect) -> np.ndarray:
            read.append((z, rect))
            return np.zeros(rect.shape, np.uint8)

    stack = Large(["a"], np.zeros((1, 40, 1, 1), np.uint8))
    stack.shape = (40, 100, 4000)
    measure_greys(stack, ["a"])
    assert {z for z, _ in read} == {2, 7, 12, 17, 22, 27, 32, 37}
    starts = {rect for z, rect in read if z == 2}
    assert starts == {Rect(Span(0, 100), Span(x, x + 512)) for x in (0, 1744, 3488)}


def test_other_slices_of_a_stack_are_near_and_other_gains_are_far(tiny_stack: Stack) -> None:
    pixels = np.stack([tiny_stack.read_slab(z, ["ICE"], 1)[0] for z in range(8)])

    def distance(one: np.ndarray, other: np.ndarray) -> float:
        near, far = (measure_greys(ArrayStack(["ICE"], each[None]), ["ICE"])["ICE"] for each in (one, other))
        return grey_distance(near, far, float(one.std()))

    assert distance(pixels[:4], pixels[4:]) < MOST_GREY_DISTANCE / 3
    assert distance(pixels, (pixels * 0.7).astype(np.uint8)) > MOST_GREY_DISTANCE
