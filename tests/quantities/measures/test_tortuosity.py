"""Tortuosity of structures whose effective diffusivity is known."""

import numpy as np
import pytest

from monai_app.errors import ConfigError
from monai_app.progress import silent
from monai_app.quantities import ArrayLabels, Quantity, tortuosity_measure
from monai_app.quantities.labels import Voxels
from tests.quantities.shapes import PHASES, Sides, blobs


def solved(voxels: Voxels, voxel: Sides) -> dict[str, Quantity]:
    labels = ArrayLabels(voxels, voxel, PHASES)
    found = tortuosity_measure(labels, "grain")(labels, silent).quantities
    return {name: of["grain"] for name, of in found.items()}


@pytest.mark.parametrize("voxel", [(10.0, 10.0, 10.0), (20.0, 10.0, 10.0), (10.0, 10.0, 20.0)])
def test_layers_conduct_along_them_and_not_across(voxel: Sides) -> None:
    voxels = np.full((12, 12, 12), 2, np.uint8)
    voxels[:, :3] = 1
    found = solved(voxels, voxel)
    for axis in "zx":
        assert found[f"tortuosity_factor_{axis}"].value == pytest.approx(1, rel=1e-3)
        assert found[f"effective_diffusivity_{axis}"].value == pytest.approx(0.75, rel=1e-3)
    assert found["effective_diffusivity_y"].value == 0
    assert "does not connect opposite faces" in str(found["tortuosity_factor_y"].unreliable)


def test_a_channel_around_a_wall_is_as_tortuous_as_its_resistance() -> None:
    """From slit to slit, one voxel wide: half a step in, one across, three along, one across, half a step out."""
    voxels = np.ones((3, 1, 4), np.uint8)
    voxels[0, 0, 0] = voxels[1, 0, :] = voxels[2, 0, 3] = 2
    found = solved(voxels.repeat(9, 1), (10.0, 10.0, 10.0))
    resistance = 0.5 + 1 + 3 + 1 + 0.5
    assert found["effective_diffusivity_z"].value == pytest.approx(3 / 4 / resistance, rel=0.02)
    assert found["tortuosity_factor_z"].value == pytest.approx((6 / 12) / (3 / 4 / resistance), rel=0.02)


def test_anisotropic_voxels_give_what_an_isotropic_resample_gives() -> None:
    fine = blobs((32, 32, 32), 3)
    fine[fine == 3] = 2
    isotropic, thinned = solved(fine, (5.0, 5.0, 5.0)), solved(fine[::2], (10.0, 5.0, 5.0))
    for axis in "zyx":
        name = f"tortuosity_factor_{axis}"
        assert thinned[name].value == pytest.approx(isotropic[name].value, rel=0.06)


def test_voxels_that_are_not_segmented_are_closed_and_reported() -> None:
    voxels = np.full((6, 6, 6), 2, np.uint8)
    voxels[0, 0, 0] = 0
    assert "0.5% of the block is not segmented" in str(solved(voxels, (1, 1, 1))["tortuosity_factor_z"].unreliable)


def test_what_cannot_be_solved_is_refused_before(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = ArrayLabels(np.ones((4, 4, 4), np.uint8), (1, 1, 1), PHASES)
    with pytest.raises(ConfigError, match="phase 'pores' is unknown; give one of matrix, grain, pore"):
        tortuosity_measure(labels, "pores")
    monkeypatch.setattr("monai_app.quantities.measures.tortuosity.free_bytes", lambda device: 1000)
    with pytest.raises(ConfigError, match="choose a smaller part"):
        tortuosity_measure(labels, "pore")
