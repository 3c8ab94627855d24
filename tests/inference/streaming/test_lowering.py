"""Networks as layers: what is folded and fused, and what is refused by name."""

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from monai.networks.nets import AttentionUnet, BasicUNet, SegResNet
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from monai_app.errors import ConfigError
from monai_app.inference.streaming.capture import NotStreamableError
from monai_app.inference.streaming.layers import BlockConvTranspose, Concatenation, Convolution, Elementwise
from monai_app.inference.streaming.lowering import lower_to_row_stream
from monai_app.inference.streaming.operations import LOWERINGS
from monai_app.inference.streaming.rows import RowStream
from monai_app.inference.tiling.receptive_field import measure_field
from monai_app.networks.protocol import as_sequence
from tests.inference.examples import DETECTORS, SLICES, pushed, random_images, shaken, streamed
from tests.zoo import network_of


def kinds(made: RowStream) -> Counter[str]:
    return Counter(type(layer).__name__ + "+relu" * getattr(layer, "relu", False) for layer in made.layers)


CONVOLUTION = nn.Conv2d(2, 2, 3, padding=1)
BATCH_NORM = shaken(nn.BatchNorm2d(2))


def seen_before(image: Tensor) -> Tensor:
    made: Tensor = CONVOLUTION(image)
    before = made * 1
    return made.relu_() + before


@pytest.mark.parametrize(
    ("function", "layers"),
    [
        (lambda image: CONVOLUTION(image).relu(), {"Convolution+relu": 1}),
        (lambda image: CONVOLUTION(image).clone().relu_(), {"Convolution+relu": 1}),
        (lambda image: BATCH_NORM(CONVOLUTION(image)).relu_(), {"Convolution+relu": 1}),
        (lambda image: BATCH_NORM(CONVOLUTION(image).relu()), {"Convolution+relu": 1, "Elementwise": 1}),
        (lambda image: BATCH_NORM(BATCH_NORM(CONVOLUTION(image))), {"Convolution": 1}),
        (lambda image: BATCH_NORM(image), {"Elementwise": 1}),
        (lambda image: (y := CONVOLUTION(image)) + y.relu(), {"Convolution": 1, "Elementwise": 2}),
        (lambda image: (y := CONVOLUTION(image)).clone().relu_() + y, {"Convolution": 1, "Elementwise": 2}),
        (lambda image: (y := CONVOLUTION(image).detach()).relu() + y, {"Convolution": 1, "Elementwise": 2}),
        (lambda image: BATCH_NORM(y := CONVOLUTION(image)) + y, {"Convolution": 1, "Elementwise": 2}),
        (lambda image: (y := BATCH_NORM(CONVOLUTION(image))).relu() + y, {"Convolution": 1, "Elementwise": 2}),
        (seen_before, {"Convolution": 1, "Elementwise": 3}),
    ],
)
@torch.no_grad()
def test_only_what_nobody_else_reads_goes_into_a_convolution(
    function: Callable[[Tensor], Tensor], layers: dict[str, int]
) -> None:
    (image,) = random_images(1, 2, 12, 6, torch.float32)

    def network(image: Tensor) -> tuple[Tensor, ...]:
        return (function(image),)

    assert kinds(lower_to_row_stream(network, 1, 2, 8)) == layers
    torch.testing.assert_close(streamed(network, [image], 4), [function(image)], rtol=0, atol=1e-5)


@torch.no_grad()
def test_an_output_is_as_it_is_before_a_relu() -> None:
    (image,) = random_images(1, 2, 12, 6, torch.float32)

    def network(image: Tensor) -> tuple[Tensor, ...]:
        made = CONVOLUTION(image)
        return made, made.relu()

    torch.testing.assert_close(streamed(network, [image], 4), list(network(image)), rtol=0, atol=1e-5)


def test_weights_and_statistics_are_left_as_they_are() -> None:
    network = network_of("unet")
    before = {name: values.clone() for name, values in network.state_dict().items()}
    lower_to_row_stream(as_sequence(network, SLICES, 1), SLICES, len(DETECTORS), 32)
    assert all(torch.equal(values, before[name]) for name, values in network.state_dict().items())


def attention(image: Tensor) -> Tensor:
    return image * image.mean((2, 3), keepdim=True)


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), "up-sampling with aligned corners"),
        (nn.Upsample(size=(24, 24)), "up-sampling to a size"),
        (nn.Upsample(scale_factor=1.5), "up-sampling .* by a factor that is not an integer"),
        (nn.InstanceNorm2d(2), "operation view"),
        (nn.BatchNorm2d(2).train(), "normalisation by the statistics of the image"),
        (nn.BatchNorm2d(2, track_running_stats=False).eval(), "normalisation by the statistics of the image"),
        (nn.GroupNorm(1, 2), "native_group_norm"),
        (nn.MaxPool2d(2, ceil_mode=True), "ceil_mode"),
        (nn.AvgPool2d(3, 1, padding=1, count_include_pad=False), "average pooling without its padding"),
        (nn.AdaptiveAvgPool2d(1), "mean"),
        (nn.Conv2d(2, 2, 3, padding=3), "see padding alone"),
        (nn.Conv2d(2, 2, 1, padding=1), "see padding alone"),
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), "reflection_pad2d"),
        (nn.ConvTranspose2d(2, 2, 2, stride=3), "see padding alone"),
        (nn.ConvTranspose2d(2, 2, 2, stride=2, output_padding=1), "see padding alone"),
        (lambda image: image * functional.avg_pool2d(image, 16), "operation on maps of several sizes"),
        (nn.PixelUnshuffle(2), "pixel_unshuffle"),
        (nn.Softmax(1), "softmax"),
        (nn.Dropout2d().train(), "operation"),
        (attention, "mean"),
        (lambda image: image.flip(2), "flip"),
        (lambda image: image[:, :, 1:], "slice along dimension 2"),
        (lambda image: image[:, ::2], "slice with step 2"),
        (lambda image: torch.cat([image, image], 2), "concatenation along dimension 2"),
        (lambda image: torch.cat([image, torch.ones(1, 1, 16, 16)], 1), "a constant"),
        (lambda image: image + torch.ones(1, 1, 16, 16), "operation add with a constant image"),
        (lambda image: image * torch.linspace(0, 1, 16), "operation mul with a constant image"),
        (lambda image: image * torch.linspace(0, 1, 16)[:, None], "operation mul with a constant image"),
        (lambda image: functional.max_pool2d(image, 2, return_indices=True)[1] + 0.5, "indices of pooling"),
        (lambda image: torch.conv2d(image, image[:, :, :3, :3], padding=1), "dimension 2"),
        (lambda image: torch.conv2d(image, image), "kernel made of the image"),
        (lambda image: functional.pad(image, (1, -1, 0, 0)), "constant_pad_nd"),
        (lambda image: torch.add(image, image, out=torch.empty(1, 2, 16, 16)), "operation add"),
    ],
)
def test_what_rows_are_not_known_of_is_refused_by_name(network: Callable[[Tensor], Tensor], reason: str) -> None:
    with pytest.raises(NotStreamableError, match=reason):
        lower_to_row_stream(lambda image: (network(image),), 1, 2, 16)


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (AttentionUnet(2, 2, 3, (8, 16), (2,)), "operation view"),
        (SegResNet(2, 8, 2, 3), "operation native_group_norm"),
        (BasicUNet(2, 2, 3, (8, 8, 8, 8, 8, 8), norm="batch", upsample="nontrainable"), "aligned corners"),
    ],
)
def test_networks_that_look_at_the_whole_image_or_its_size_are_refused(network: nn.Module, reason: str) -> None:
    network.eval()
    with pytest.raises(NotStreamableError, match=reason):
        lower_to_row_stream(lambda image: (network(image),), 1, 2, 64)
    with pytest.raises(ConfigError, match="depend"):
        measure_field(network, 2, 16)


def constant_factors(image: Tensor) -> tuple[Tensor, ...]:
    """A single channel becomes four by a constant of four."""
    made = image * torch.arange(1.0, 5.0)[:, None, None]
    return made[:, 2:], torch.cat([made, image], 1)


def test_constants_of_channels() -> None:
    (image,) = random_images(1, 1, 12, 4, torch.float32)
    torch.testing.assert_close(streamed(constant_factors, [image], 4), list(constant_factors(image)))
    assert lower_to_row_stream(constant_factors, 1, 1, 8).channels[:2] == (1, 4)


@torch.no_grad()
def test_concatenated_sources_are_convolved_one_by_one() -> None:
    images = random_images(3, 8, 24, 12, torch.float32)
    convolution = nn.Conv2d(24, 5, 3, padding=1)

    def network(*images: Tensor) -> tuple[Tensor, ...]:
        return (convolution(torch.cat(images, 1)).relu(),)

    made = lower_to_row_stream(network, 3, 8, 8)
    (layer,) = made.layers
    assert isinstance(layer, Convolution)
    assert (layer.sources, layer.relu) == ((0, 1, 2), True)
    assert len(layer.packed) == (3 if torch.backends.mkldnn.is_available() else 0)
    torch.testing.assert_close(pushed(made, images, 8), list(network(*images)), rtol=0, atol=1e-5)


def test_concatenated_maps_are_concatenated_where_others_read_them() -> None:
    images = random_images(2, 2, 12, 4, torch.float32)

    def network(first: Tensor, second: Tensor) -> tuple[Tensor, ...]:
        return (torch.cat([first, second], 1).tanh(),)

    made = lower_to_row_stream(network, 2, 2, 8)
    assert [type(layer) for layer in made.layers] == [Concatenation, Elementwise]
    torch.testing.assert_close(pushed(made, images, 4), list(network(*images)))


@pytest.mark.parametrize(
    ("module", "kernel"),
    [
        (nn.MaxPool2d(2), "BlockMaxPool"),
        (nn.MaxPool2d((2, 3)), "BlockMaxPool"),
        (nn.MaxPool2d(3, 2, 1), "MaxPool"),
        (nn.ConvTranspose2d(2, 3, 2, 2), "BlockConvTranspose"),
        (nn.ConvTranspose2d(2, 3, (2, 3), (2, 3)), "BlockConvTranspose"),
        (nn.ConvTranspose2d(2, 4, 2, 2, groups=2), "ConvTranspose"),
        (nn.ConvTranspose2d(2, 3, 4, 2, 1), "Doubling"),
        (nn.ConvTranspose2d(2, 3, 4, 2, 1, bias=False), "Doubling"),
        (nn.ConvTranspose2d(2, 3, 4, 2, 2), "ConvTranspose"),
    ],
)
def test_fast_kernels_are_for_windows_that_do_not_overlap(module: nn.Module, kernel: str) -> None:
    (image,) = random_images(1, 2, 12, 12, torch.float32)

    def network(image: Tensor) -> tuple[Tensor, ...]:
        return (module(image),)

    assert kinds(lower_to_row_stream(network, 1, 2, 12)) == {kernel: 1}
    with torch.no_grad():
        torch.testing.assert_close(streamed(network, [image], 5, 12), list(network(image)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["unet", "sensor3d"])
def test_on_another_device_all_maps_lie_there(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors that only say where they are refuse to be mixed with others; no GPU is needed."""
    monkeypatch.setitem(LOWERINGS, torch.ops.prim.device, lambda *_: [])  # which they alone ask for
    network, cuda = network_of(kind, width=8), torch.device("cuda")
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        network.load_state_dict({name: value.to(cuda) for name, value in network.state_dict().items()}, assign=True)
        made = lower_to_row_stream(as_sequence(network, SLICES, 2), SLICES + 1, len(DETECTORS), 64)
        stripe = [torch.empty(32, 64, len(DETECTORS), device=cuda)] * (SLICES + 1)
        rows = [rows for _, _, rows in made.run([stripe, stripe], 64)]
    assert {part.device.type for part in rows} == {"cuda"}
    assert sum(part.shape[0] for part in rows) == 2 * 64
    # A small kernel a row would take a GPU longer than what it computes.
    assert not any(isinstance(layer, BlockConvTranspose) for layer in made.layers)
