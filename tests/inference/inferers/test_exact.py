"""The inferer against the whole slice, and in the places where MONAI's sliding window was."""

import gc
import warnings
import weakref
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor, decollate_batch
from monai.inferers import SlidingWindowInferer
from torch import Tensor, nn

from monai_app.errors import ConfigError
from monai_app.inference import ExactInferer, with_labelled_wanted
from monai_app.inference.inferers import exact as inferer
from monai_app.inference.tiling.receptive_field import Field, measure_field
from tests.zoo import NETWORKS, network_of

STRIDES = {kind: NETWORKS[kind].stride for kind in ("UNet residual", "unet", "sensor3d")}
CHANNELS, PHASES = 3, 3


def made(kind: str, seed: int = 0, norm: str = "batch") -> nn.Module:
    options: dict[str, Any] = {"norm": norm} if kind == "unet" else {}
    return network_of(kind, 1, 3, PHASES, seed=seed, dtype=torch.float64, **options)


known = cache(made)


def whole_slice(network: nn.Module, images: Tensor, stride: int) -> Tensor:
    """The network's logits of slices that are padded by repeating the last pixel."""
    rows, columns = images.shape[2:]
    padded = images[:, :, [min(y, rows - 1) for y in range(-(-rows // stride) * stride)]]
    padded = padded[:, :, :, [min(x, columns - 1) for x in range(-(-columns // stride) * stride)]]
    logits: Tensor = network(padded)
    return logits[:, :, :rows, :columns]


class Spy(nn.Module):
    """A network that gives what it is given, noting it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor, *more: object, **named: object) -> Tensor:
        self.seen.append(images)
        return images


@pytest.mark.parametrize("kind", STRIDES)
@settings(deadline=None, max_examples=15)
@given(data=st.data())
@torch.no_grad()
def test_tiles_give_the_logits_of_the_whole_slice(kind: str, data: st.DataObject) -> None:
    network, stride = known(kind), STRIDES[kind]
    rows, columns = (data.draw(st.integers(1, 18 * stride)) for _ in range(2))
    window = [stride * data.draw(st.integers(3, 12)) for _ in range(2)]
    images = torch.rand((1, CHANNELS, rows, columns), dtype=torch.float64)
    logits = ExactInferer(window, stride)(images, network)
    assert logits.shape == (1, PHASES, rows, columns)
    torch.testing.assert_close(logits, whole_slice(network, images, stride), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", STRIDES)
@torch.no_grad()
def test_labels_in_float32_are_those_of_the_whole_slice(kind: str) -> None:
    network, stride = made(kind).float(), STRIDES[kind]
    images = torch.rand((1, CHANNELS, 99, 187), generator=torch.Generator().manual_seed(1))
    logits, expected = ExactInferer((32, 48), stride)(images, network), whole_slice(network, images, stride)
    torch.testing.assert_close(logits.softmax(1), expected.softmax(1), rtol=0, atol=1e-5)
    middle = expected.mean((0, 2, 3), keepdim=True)  # without it one phase would be all there is
    labels = (logits - middle).argmax(1)
    assert labels.unique().tolist() == [0, 1, 2]
    assert torch.equal(labels, (expected - middle).argmax(1))


def split_labels(rows: int, columns: int) -> Tensor:
    """Labels of some blocks of a slice, as those that validate."""
    labels = torch.zeros((1, 1, rows, columns), dtype=torch.uint8)
    for top, left in ((0, 32), (48, 64), (64, 160)):
        labels[:, :, top : top + 16, left : left + 16] = 1
    return labels


@pytest.mark.parametrize("kind", STRIDES)
@torch.no_grad()
def test_wanted_pixels_have_the_labels_of_the_whole_slice(kind: str) -> None:
    network, stride, labels = made(kind).float(), STRIDES[kind], split_labels(99, 187)
    batch = {"image": torch.rand((1, CHANNELS, 99, 187), generator=torch.Generator().manual_seed(1)), "label": labels}
    image, _, _, options = with_labelled_wanted(batch, torch.device("cpu"))
    logits, expected = ExactInferer((32, 48), stride)(image, network, **options), whole_slice(network, image, stride)
    wanted = labels[0, 0] > 0
    middle = expected.mean((0, 2, 3), keepdim=True)
    assert torch.equal((logits - middle).argmax(1)[:, wanted], (expected - middle).argmax(1)[:, wanted])
    assert logits.isnan().any()


def test_no_more_is_computed_than_is_wanted() -> None:
    network, infer, labels = Spy(), ExactInferer((64, 64), 16), split_labels(99, 187)
    images = torch.rand((1, 6, 99, 187))
    infer(images, network)  # measures as well
    network.seen.clear()
    logits = infer(images, network, wanted=labels > 0)
    assert torch.equal(logits.isfinite().all(1), labels[:, 0] > 0)
    assert sum(each.shape[2] * each.shape[3] for each in network.seen) == 3 * 16 * 16
    assert infer(images, network, wanted=torch.zeros_like(labels, dtype=torch.bool)).shape == images.shape


@pytest.mark.parametrize("sides", [(1, 1), (13, 50), (64, 7), (16, 24)])
def test_an_identity_gives_its_input(sides: tuple[int, int]) -> None:
    images = torch.rand((2, 6, *sides))
    assert torch.equal(ExactInferer((16, 8), 8)(images, nn.Identity()), images)


def test_a_slice_smaller_than_the_window_is_one_tile() -> None:
    network, infer = Spy(), ExactInferer((512, 512), 16)
    images = torch.rand((1, 6, 37, 50))
    infer(images, network)  # measures as well
    network.seen.clear()
    infer(images, network)
    (read,) = network.seen
    assert read.is_contiguous(memory_format=torch.channels_last)
    below, right = [*range(37), *[36] * 11], [*range(50), *[49] * 14]
    assert torch.equal(read, images[:, :, below][:, :, :, right])


@torch.no_grad()
def test_the_slices_of_a_batch_do_not_know_each_other() -> None:
    infer, images = ExactInferer((32, 48), 4), torch.rand((2, CHANNELS, 70, 61), dtype=torch.float64)
    together = infer(images, known("sensor3d"))
    each = [infer(image[None], known("sensor3d")) for image in images]
    torch.testing.assert_close(together, torch.cat(each), rtol=1e-12, atol=1e-12)


def test_metadata_is_kept_as_the_sliding_window_keeps_it() -> None:
    images = MetaTensor(torch.rand((2, 3, 21, 18)), meta={"z": [4, 7]})
    images.is_batch = True
    given, expected = (
        infer(images, nn.Identity()) for infer in (ExactInferer((16, 16), 4), SlidingWindowInferer((16, 16)))
    )
    assert type(given) is type(expected) is MetaTensor
    assert given.__dict__.keys() == expected.__dict__.keys()
    assert given.is_batch
    assert [item.meta["z"] for item in decollate_batch(given)] == [4, 7]
    assert torch.equal(given.as_tensor(), images.as_tensor())
    assert type(ExactInferer((16, 16), 4)(images.as_tensor(), nn.Identity())) is Tensor


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """The networks that are measured."""
    networks: list[nn.Module] = []

    def spy(network: nn.Module, channels: int, stride: int) -> Field:
        networks.append(network)
        return measure_field(network, channels, stride)

    monkeypatch.setattr(inferer, "measure_field", spy)
    return networks


def test_a_network_is_measured_once_and_not_kept(measured: list[nn.Module]) -> None:
    first, second = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 3, 3, padding=1)
    for network in (first, second, first):
        for _ in range(2):  # a new inferer each time, as MONAI Label makes them
            ExactInferer((8, 8), 4)(torch.rand((1, 2, 9, 9)), network)
    assert measured == [first, second]
    ExactInferer((8, 8), 2)(torch.rand((1, 2, 9, 9)), first)
    assert measured == [first, second, first]
    gone = weakref.ref(first)
    measured.clear()
    del first, network
    gc.collect()
    assert gone() is None


@torch.no_grad()
def test_weights_that_change_are_honoured() -> None:
    network, images = made("UNet residual", seed=1), torch.rand((1, CHANNELS, 70, 61), dtype=torch.float64)
    infer = ExactInferer((32, 48), 4)
    before = infer(images, network)
    network.load_state_dict(made("UNet residual", seed=2).state_dict())
    after = infer(images, network)
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, whole_slice(network, images, 4), rtol=1e-10, atol=1e-10)


def test_mixed_precision_is_for_the_tiles_and_not_for_measuring() -> None:
    """Its convolutions spread NaN beyond the kernel, on some machines."""

    class Precision(Spy):
        def forward(self, images: Tensor, *more: object, **named: object) -> Tensor:
            precisions[bool(images.isnan().any())].add(torch.is_autocast_enabled("cpu"))
            return super().forward(images)

    precisions: dict[bool, set[bool]] = {False: set(), True: set()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ExactInferer((16, 32), 16)(torch.rand((1, 2, 40, 20)), Precision())
    assert True in precisions[False]
    assert precisions[True] == {False}


def test_logits_have_the_type_that_the_network_gives() -> None:
    network = nn.Conv2d(2, 3, 3, padding=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ExactInferer((16, 32), 16)(torch.rand((1, 2, 40, 20)), network).dtype == torch.bfloat16


@pytest.mark.parametrize("wrap", ["parallel", "script"])
@torch.no_grad()
def test_wrapped_networks_are_measured_as_they_are(wrap: str) -> None:
    network = made("sensor3d")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates scripting; MONAI exports with it
        wrapped = nn.DataParallel(network) if wrap == "parallel" else torch.jit.script(network)
    images = torch.rand((1, CHANNELS, 70, 61), dtype=torch.float64)
    logits = ExactInferer((32, 48), 4)(images, wrapped)
    torch.testing.assert_close(logits, whole_slice(wrapped, images, 4), rtol=1e-10, atol=1e-10)


def test_more_arguments_go_to_the_network() -> None:
    class Scaled(nn.Module):
        def forward(self, images: Tensor, factor: int = 1, offset: int = 0) -> Tensor:
            return images * factor + offset

    images = torch.rand((1, 2, 21, 18))
    assert torch.equal(ExactInferer((8, 8), 4)(images, Scaled(), 3, offset=5), images * 3 + 5)


def test_networks_and_images_that_tiles_cannot_serve_are_refused() -> None:
    images = torch.rand((1, CHANNELS, 64, 64), dtype=torch.float64)
    with pytest.raises(ConfigError, match=r"depends on everything in the image: .* use batch norm or none"):
        ExactInferer((64, 64), 16)(images, made("unet", norm="instance"))
    with pytest.raises(ConfigError, match="stride 2: what the network's logits depend on does not repeat"):
        ExactInferer((64, 64), 2)(images, known("sensor3d"))
    with pytest.raises(ConfigError, match=r"network .*: must be a torch\.nn\.Module.*; wrap"):
        ExactInferer()(images, lambda image: image)
    for odd in (images[0], images[:, :, :, None], images[:, :, :0]):
        with pytest.raises(ConfigError, match=r"images \(.*\): must be \(B, S\*C, H, W\)"):
            ExactInferer()(odd, nn.Identity())


@pytest.mark.parametrize(
    ("window", "stride", "message"),
    [
        ([500, 512], 16, r"window \[500, 512\]: .* multiples of the network's stride 16; .* \[512, 512\]"),
        ([0, 512], 16, r"window \[0, 512\]: .* example, \[16, 512\]"),
        ([64], 4, r"window \[64\]: must be rows and columns, .* example, \[64, 64\]"),
        (64, 4, "window 64: must be rows and columns"),
        ([64, 64.0], 4, r"window \[64, 64.0\]: must be rows and columns, .* example, \[64, 64\]"),
        ([64, 64], 0, "stride 0: must be an integer, 1 or more"),
        ([64, 64], "4", "stride '4': must be an integer"),
    ],
)
def test_a_window_that_breaks_its_rule_is_refused(window: Any, stride: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ExactInferer(window, stride)
