"""Sensor-3D: sizes against the reference, what reaches what, and the ways out of Python."""

from pathlib import Path
from typing import Any

import pytest
import torch

from monai_app.errors import ConfigError
from monai_app.networks import Sensor3D

HEADS = ["final", "middle", "all"]


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def large(detectors: int, phases: int, **options: Any) -> Sensor3D:
    """Sensor-3D of any size without memory for its weights, whose first values take seconds to draw."""
    with torch.device("meta"):
        return Sensor3D(detectors, phases, **options)


def small(seed: int = 0, **options: Any) -> Sensor3D:
    """Sensor-3D with the weights that training begins with."""
    torch.manual_seed(seed)
    return Sensor3D(**{"detectors": 2, "phases": 3, "filters": 4, **options})


def gradients_of(network: torch.nn.Module) -> list[torch.Tensor]:
    return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]


def image(slices: int = 3, detectors: int = 2, rows: int = 16, columns: int = 24, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn((batch, slices * detectors, rows, columns), generator=generator)


@pytest.mark.parametrize(
    ("levels", "filters", "summed", "concatenated", "one_way"),
    [
        (3, 64, 11_911_553, 12_206_529, 6_896_769),
        (4, 64, 46_124_929, 47_304_641, 26_953_345),
        (4, 32, 11_533_249, 11_828_193, 6_739_777),
        (3, 32, 2_979_009, 3_052_769, 1_724_993),
        (4, 16, 2_884_321, 2_958_065, 1_685_665),
        (3, 16, 745_313, 763_761, 431_649),
    ],
)
def test_parameters_are_those_of_the_reference(
    levels: int, filters: int, summed: int, concatenated: int, one_way: int
) -> None:
    network = large(1, 1, levels=levels, filters=filters)
    assert parameters(network) == summed
    assert parameters(network) - parameters(network.join.back) - parameters(network.read_out.back) == one_way
    assert parameters(large(1, 1, levels=levels, filters=filters, merge="concat")) == concatenated


def test_parameters_per_detector_and_phase() -> None:
    assert parameters(large(2, 6)) == 11_912_454
    assert parameters(large(3, 6)) == 11_912_454 + 576
    assert parameters(large(2, 7)) == 11_912_454 + 65
    assert parameters(large(2, 7, merge="concat")) - parameters(large(2, 6, merge="concat")) == 129


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("slices", [1, 3, 5, 7])
def test_gradients_flow_to_every_slice_and_parameter(slices: int, head: str) -> None:
    network = small(slices=slices, head=head).train()
    slab = image(slices).requires_grad_()
    logits = network(slab)
    assert logits.shape == ((2, 3, slices, 16, 24) if head == "all" else (2, 3, 16, 24))
    logits.square().sum().backward()
    assert slab.grad is not None
    assert (slab.grad.abs().amax((0, 2, 3)) > 0).all()
    for name, parameter in network.named_parameters():
        # From the zero state nothing is recurrent, and a read-out at the only slice makes no further step.
        if slices > 1 or "state_to_state" not in name:
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("gate_activation", ["hard_sigmoid", "sigmoid"])
def test_gradients_in_mixed_precision_are_those_of_full_precision(gate_activation: str, norm: str) -> None:
    slab, gradients = image(), []
    for mixed in (False, True):
        network = small(gate_activation=gate_activation, norm=norm).train()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            loss = network(slab).float().square().sum()
        loss.backward()
        gradients.append(torch.cat([gradient.flatten() for gradient in gradients_of(network)]))
    full, half = gradients
    assert (full - half).norm() < 0.05 * full.norm()


@pytest.mark.parametrize("head", HEADS)
def test_the_order_of_the_slices_matters(head: str) -> None:
    network, slab = small(head=head).eval(), image()
    swapped = slab.unflatten(1, (3, 2))[:, [2, 1, 0]].flatten(1, 2)
    assert (network(slab) - network(swapped)).abs().max() > 1e-3


@pytest.mark.parametrize("head", ["final", "middle"])
@pytest.mark.parametrize("slices", [3, 5])
def test_a_mirrored_slab_is_seen_alike_by_swapped_directions(slices: int, head: str) -> None:
    network, slab = small(slices=slices, head=head).eval(), image(slices)
    mirrored = slab.unflatten(1, (slices, 2)).flip(1).flatten(1, 2)
    swapped = small(slices=slices, head=head).eval()
    names = {".ahead.": ".back.", ".back.": ".ahead."}
    state = network.state_dict()
    for old, new in names.items():
        state |= {key.replace(old, new): value for key, value in network.state_dict().items() if old in key}
    swapped.load_state_dict(state)
    assert (network(slab) - network(mirrored)).abs().max() > 1e-3
    torch.testing.assert_close(swapped(mirrored), network(slab), atol=1e-5, rtol=0)


def test_all_slices_and_the_middle_one_agree() -> None:
    """In evaluation `all` gives what it gave for the middle slice in training, and what `middle` gives."""
    network, slab = small(head="all"), image()
    scored = network.eval()(slab)
    assert scored.shape == (2, 3, 16, 24)
    torch.testing.assert_close(network.train()(slab)[:, :, 1], scored)
    torch.testing.assert_close(small(head="middle").eval()(slab), scored)


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_dropout_does_not_rename_weights(norm: str) -> None:
    """A model trained without takes dropout for the scoring of its uncertainty."""
    trained, dropping = small(norm=norm).eval(), small(seed=1, norm=norm, dropout=0.3).eval()
    dropping.load_state_dict(trained.state_dict(), strict=True)
    torch.testing.assert_close(dropping(image()), trained(image()))
    assert not torch.equal(dropping.train()(image()), dropping(image()))


def test_slices_before_the_join_are_seen_alone() -> None:
    """Time-distributed: a slice's features do not depend on the others."""
    network, slab = small().eval(), image()
    changed = slab.clone()
    changed[:, 4:] += 1  # the last slice
    before, after = (network._encode(network._by_slice(x)) for x in (slab, changed))
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(old[:4], new[:4])
        assert not torch.equal(old[4:], new[4:])


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning")
def test_a_scripted_network_trains_alike() -> None:
    network, slab = small(), image()
    gradients = []
    for trained in (network, torch.jit.script(network)):
        network.zero_grad()
        trained(slab).square().sum().backward()
        gradients.append([gradient.clone() for gradient in gradients_of(network)])
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*", "ignore:Converting a tensor to a Python:")
def test_a_traced_network_can_be_saved(tmp_path: Path) -> None:
    network, slab = small().eval(), image()
    torch.jit.trace(network, slab).save(tmp_path / "network.ts")
    torch.testing.assert_close(torch.jit.load(tmp_path / "network.ts")(slab), network(slab))


def test_other_sizes_are_refused_with_the_two_around_them() -> None:
    with pytest.raises(
        ValueError, match="side of 30 pixels: must be a multiple of 4; the sizes around it are 28 and 32"
    ):
        small()(image(rows=32, columns=30))
    with pytest.raises(ValueError, match="5 channels: 3 slices of 2 detectors make 6"):
        small()(image()[:, :5])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slices": 2}, "a slab of 2 slices: must be odd"),
        ({"levels": 1}, "levels 1: must be 2 or more"),
        ({"phases": 0}, "phases 0: must be 1 or more"),
        ({"head": "first"}, "head 'first': must be one of final, middle, all"),
        ({"norm": "instance"}, "norm 'instance'"),
        ({"dropout": 1.5}, "dropout 1.5: must be a probability"),
    ],
)
def test_arguments_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small(**options)
