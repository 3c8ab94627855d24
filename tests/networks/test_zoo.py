"""What every network must do, asked of each network of the zoo: a new one is tested by being there."""

import io
from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

from monai_app.errors import ConfigError
from monai_app.inference.streaming.capture import NotStreamableError
from monai_app.inference.tiling.receptive_field import measure_field
from monai_app.networks.protocol import as_sequence
from tests.inference.examples import streamed
from tests.zoo import BUNDLES, NETWORKS, network_of

DETECTORS, PHASES = 2, 3

HALOS = {
    "unet": 96, "sensor3d": 40, "Sensor3D middle": 36, "Sensor3D all": 22, "BasicUNetPlusPlus": 96, "UNet": 8,
    "UNet residual": 24, "AttentionUnet": 16, "SegResNet": 32, "SegResNet deconv": 28, "DynUNet": 20,
    "UNet on patches": 8,
}  # fmt: skip
"""Pixels to read around a tile, as measured when the network came into the zoo."""

GOLDEN = {
    "sensor3d": [0.0642, 0.5896, 0.5149, -0.1257, -0.6652],
    "unet": [-0.0006, 0.3247, 0.1306, -0.5424, 0.1818],
    "Sensor3D middle": [0.1597, 0.7084, 0.0328, 0.2241, -0.5482],
    "Sensor3D all": [0.0470, 0.2811, 0.2035, -0.2792, 0.2317],
    "BasicUNet bilinear": [0.0013, 0.3570, 0.3261, -0.1616, 0.0402],
    "BasicUNetPlusPlus": [-0.0000, 0.5029, -0.1828, -0.0035, -0.1469],
    "UNet": [-0.0019, 0.2709, -0.6667, -0.0733, 0.1123],
    "UNet residual": [-0.0669, 0.4958, -0.2996, -0.1934, -0.0215],
    "AttentionUnet": [0.0227, 0.3278, 0.2355, 0.1055, -0.1269],
    "SegResNet": [-0.0179, 0.4503, -0.3783, 0.4924, -0.3359],
    "SegResNet deconv": [-0.0132, 0.2982, -0.0931, 0.3660, -0.1919],
    "DynUNet": [0.0576, 0.7615, 0.9073, -0.6280, 2.1359],
    "UNet on patches": [0.0005, 0.2931, 0.4476, 0.1212, 0.0761],
}
"""Mean and standard deviation of the logits of `slab`, and the logits of one pixel."""


@cache
def known(name: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A network of the zoo that no test changes."""
    return network_of(name, DETECTORS, phases=PHASES, dtype=dtype)


def slab(name: str, strides: tuple[int, int], batch: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    """Random images (batch, S*C, H, W), sides in strides of the network."""
    entry, generator = NETWORKS[name], torch.Generator().manual_seed(7)
    rows, columns = (entry.stride * side for side in strides)
    return torch.randn((batch, entry.slices * DETECTORS, rows, columns), generator=generator, dtype=dtype)


@torch.no_grad()
def assert_agrees(name: str, other: nn.Module) -> None:
    for batch, strides in ((2, (6, 5)), (1, (3, 9)), (3, (8, 2))):
        images = slab(name, strides, batch)
        torch.testing.assert_close(other(images), known(name)(images), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
class TestNetwork:
    def test_gradients_flow_to_every_pixel_and_parameter(self, name: str) -> None:
        network, images = network_of(name, DETECTORS).train(), slab(name, (2, 3), batch=2).requires_grad_()
        logits = network(images)
        assert logits.shape[:2] == (2, PHASES)
        logits.square().sum().backward()
        for part, tensor in [("images", images), *network.named_parameters()]:
            assert tensor.grad is not None, part
            assert tensor.grad.isfinite().all(), part
            assert tensor.grad.abs().max() > 0, part
        assert images.grad is not None
        assert (images.grad.abs().amax((0, 2, 3)) > 0).all()

    @pytest.mark.parametrize("strides", [(1, 1), (2, 13), (7, 3)])
    @torch.no_grad()
    def test_any_multiple_of_the_stride_works(self, name: str, strides: tuple[int, int]) -> None:
        images = slab(name, strides)
        assert known(name)(images).shape == (1, PHASES, *images.shape[2:])

    @torch.no_grad()
    def test_the_images_of_a_batch_do_not_know_each_other(self, name: str) -> None:
        images = slab(name, (3, 2), batch=3)
        torch.testing.assert_close(known(name)(images)[1:2], known(name)(images[1:2]), rtol=0, atol=1e-5)

    @pytest.mark.filterwarnings("ignore:.*torch.jit.*", "ignore:The TorchScript type system")
    def test_torchscript_agrees(self, name: str) -> None:
        file = io.BytesIO()
        torch.jit.save(torch.jit.script(known(name)), file)
        file.seek(0)
        assert_agrees(name, torch.jit.load(file))

    @torch.no_grad()
    def test_a_sequence_of_slices_gives_the_logits_of_slabs(self, name: str) -> None:
        images, expected = self.consecutive(name, 3, torch.float64)
        sequence = as_sequence(known(name, torch.float64), NETWORKS[name].slices, len(expected))
        torch.testing.assert_close(list(sequence(*images)), expected, rtol=0, atol=1e-10)

    @pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
    @torch.no_grad()
    def test_stripe_by_stripe_is_the_whole(self, name: str, dtype: torch.dtype, allowed: float) -> None:
        entry = NETWORKS[name]
        images, expected = self.consecutive(name, 2, dtype)
        sequence = as_sequence(known(name, dtype), entry.slices, len(expected))
        if not entry.streams:
            with pytest.raises(NotStreamableError):
                streamed(sequence, images, entry.stride, 4 * entry.stride)
            return
        allowed *= max(1.0, float(expected[0].std()))
        for stripe in (entry.stride // 2 + 1, 4 * entry.stride):
            given = streamed(sequence, images, stripe, 4 * entry.stride)
            torch.testing.assert_close(given, expected, rtol=0, atol=allowed)
            for whole, part in zip(expected, given, strict=True):
                best = whole.topk(2, 1).values
                tie = best[:, 0] - best[:, 1] <= 2 * allowed
                assert torch.equal(part.argmax(1)[~tie], whole.argmax(1)[~tie])

    def consecutive(self, name: str, targets: int, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
        """Slices (1, C, H, W), and the logits of as many targets by the plain network."""
        slices = NETWORKS[name].slices
        images = list(torch.cat([slab(name, (5, 3), 2, dtype)] * slices, 1)[:1].split(DETECTORS, 1))
        images = [image * (1 + 0.1 * z) for z, image in enumerate(images[: slices + targets - 1])]
        network = known(name, dtype)
        return images, [network(torch.cat(images[first : first + slices], 1)) for first in range(targets)]

    @torch.no_grad()
    def test_tiles_read_with_the_halo_are_the_whole(self, name: str) -> None:
        entry, network = NETWORKS[name], known(name, torch.float64)
        channels, stride = entry.slices * DETECTORS, entry.stride
        if not entry.tiles:
            with pytest.raises(ConfigError, match="depend"):
                measure_field(network, channels, stride)
            return
        halo = measure_field(known(name), channels, stride).halo  # faster in float32, and the same
        assert halo == HALOS.get(name, halo)
        steps = halo // stride
        core, inner = slice(stride, (2 * steps + 3) * stride), slice(halo + stride, halo + 3 * stride)
        for axis in (2, 3):  # in turn, because the images of networks that see far would be large
            images = slab(name, (2 * steps + 5, 3), dtype=torch.float64).transpose(2, axis)
            tile = network(images.movedim(axis, 0)[core].movedim(0, axis))
            whole = network(images).movedim(axis, 0)[inner]
            torch.testing.assert_close(tile.movedim(axis, 0)[halo : halo + 2 * stride], whole, rtol=0, atol=1e-10)

    @torch.no_grad()
    def test_logits_are_those_of_before(self, name: str) -> None:
        logits = known(name)(slab(name, (4, 4)))[0]
        found = [float(logits.mean()), float(logits.std()), *logits[:, 5, 7].tolist()]
        assert found == pytest.approx(GOLDEN.get(name, found), abs=1e-4)
        assert sorted(logits.argmax(0).unique().tolist()) == list(range(PHASES))


@pytest.mark.parametrize("name", [*BUNDLES, "Sensor3D middle"])
def test_an_exported_program_agrees(name: str) -> None:
    """Asked of what bundles have alone, because torch.export takes seconds a network."""
    sizes, file = {0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO}, io.BytesIO()
    program = torch.export.export(known(name), (slab(name, (6, 5), batch=2),), dynamic_shapes=(sizes,))
    torch.export.save(program, file)
    file.seek(0)
    assert_agrees(name, torch.export.load(file).module())


def test_expectations_are_of_networks_that_are_there() -> None:
    assert HALOS.keys() | GOLDEN.keys() <= NETWORKS.keys()
    assert {"unet", "sensor3d"} <= NETWORKS.keys()
