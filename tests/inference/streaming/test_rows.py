"""Row streaming: captured, lowered to layers and run in stripes, networks give what they give of the whole image."""

import weakref
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from monai_app.inference.streaming.lowering import lower_to_row_stream
from monai_app.networks.protocol import as_sequence
from tests.inference.examples import DETECTORS, SLICES, STRIDE, pushed, random_images, shaken, streamed
from tests.inference.streaming.program import Program
from tests.zoo import network_of

SIDE = st.integers(5, 40)


@settings(max_examples=400, deadline=None)
@given(data=st.data(), height=SIDE, width=st.integers(5, 12), side=st.integers(8, 24), stripe=SIDE)
def test_any_network_in_any_stripes_gives_what_it_gives_of_the_whole_image(
    data: st.DataObject, height: int, width: int, side: int, stripe: int
) -> None:
    inputs, channels = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 4))
    torch.manual_seed(data.draw(st.integers(0, 99)))
    images = random_images(inputs, channels, height, width, torch.float32)
    captured = random_images(inputs, channels, side, side, torch.float32)
    program = Program(data, list(zip(images, captured, strict=True)), steps=data.draw(st.integers(1, 9)))
    network = shaken(program).double()
    images = [image.double() for image in images]
    with torch.no_grad():
        expected = network(*(image.clone() for image in images))
    given = streamed(network, images, stripe, side)
    torch.testing.assert_close(given, list(expected), rtol=1e-10, atol=1e-10)


def test_an_identity_and_a_map_that_is_wanted_twice() -> None:
    images = random_images(2, 3, 16, 4, torch.float32)
    first, second = images
    torch.testing.assert_close(streamed(lambda a, b: (b, a), images, 4), [second, first])
    torch.testing.assert_close(streamed(lambda a, b: (a, a + b, a), images, 4), [first, first + second, first])

    def doubled(image: Tensor) -> tuple[Tensor, ...]:
        made = image * 2
        return made, made.detach()

    torch.testing.assert_close(streamed(doubled, [first], 4), [2 * first] * 2)
    torch.testing.assert_close(streamed(as_sequence(nn.Identity().eval(), 1, 2), images, 4), images)


@pytest.mark.parametrize("kind", ["unet", "sensor3d"])
@pytest.mark.parametrize("targets", [1, 3])
@torch.no_grad()
def test_networks_of_the_variants_in_float32(kind: str, targets: int) -> None:
    network, stride = network_of(kind), STRIDE[kind]
    images = random_images(SLICES + targets - 1, len(DETECTORS), 13 * stride, 5 * stride, torch.float32)
    expected = [network(torch.cat(images[first : first + SLICES], 1)) for first in range(targets)]
    made = lower_to_row_stream(as_sequence(network, SLICES, targets), len(images), len(DETECTORS), 4 * stride)
    for stripe in (stride, 4 * stride, 13 * stride):
        given = pushed(made, images, stripe)
        torch.testing.assert_close(given, expected, rtol=0, atol=1e-5)
        for logits, plain in zip(given, expected, strict=True):
            centre = plain.mean((0, 2, 3), keepdim=True)  # without it one phase would be all there is
            labels = (logits - centre).argmax(1)
            assert len(labels.unique()) == 3
            assert torch.equal(labels, (plain - centre).argmax(1))


def test_a_stripe_that_was_used_is_gone() -> None:
    alive: list[weakref.ref[Tensor]] = []

    def stripes() -> Iterator[list[Tensor]]:
        for _ in range(20):
            stripe = torch.zeros(4, 4, 2)
            alive.append(weakref.ref(stripe))
            yield [stripe]
            del stripe

    with torch.no_grad():
        convolution = nn.Conv2d(2, 2, 3, padding=1)
        for _ in lower_to_row_stream(lambda image: (convolution(image),), 1, 2, 8).run(stripes(), 80):
            assert sum(reference() is not None for reference in alive) <= 2
