from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from monai_app.phantom.config import PhantomConfig
from monai_app.phantom.imaging.detectors import Buried, bare_signal, contrast, hardness_map, look_into_pores, relief
from monai_app.phantom.imaging.stage import Position
from monai_app.phantom.simulate import field_grid
from monai_app.phantom.structure.microstructure import Plane
from monai_app.phantom.structure.phases import BSE, SE, TEXTURE, Material
from monai_app.stack import Voxel

VOXEL = Voxel(z=50.0, y=20.0, x=20.0)
LENS = PhantomConfig().lens


def _plane(material: npt.ArrayLike, texture: int = 0) -> Plane:
    materials = np.asarray(material, dtype=np.uint8)
    return Plane(materials, np.full(materials.shape, texture, dtype=np.int8))


def _pore(shape: tuple[int, int] = (12, 9)) -> npt.NDArray[Any]:
    return np.full(shape, Material.PORE)


def test_beam_sees_depth_displaced_along_y() -> None:
    """50 nm down at 38 degrees is 39 nm along y, two rows; drift adds to it."""
    behind = _pore()
    behind[8, 4] = Material.ALITE
    for shift in ((0, 0), (1, -2), (-3, 0)):
        hits = look_into_pores(_plane(_pore()), [Buried(_plane(behind), 50.0, shift)], VOXEL)
        seen = hits.place[hits.material == Material.ALITE]
        assert [divmod(int(place), 9) for place in seen] == [(8 - 2 - shift[0], 4 - shift[1])]


def test_the_first_solid_hides_what_is_deeper() -> None:
    quartz, clinker = np.full((12, 9), Material.QUARTZ), np.full((12, 9), Material.ALITE)
    below = [
        Buried(_plane(_pore()), 50.0, (0, 0)),
        Buried(_plane(quartz), 100.0, (0, 0)),
        Buried(_plane(clinker), 150.0, (0, 0)),
    ]
    hits = look_into_pores(_plane(_pore()), below, VOXEL)
    assert set(hits.material) == {Material.QUARTZ}
    assert set(hits.depth_nm) == {100.0}


def test_deeper_is_dimmer_and_nothing_is_dark() -> None:
    greys = []
    for depth in (50.0, 100.0, 300.0):
        below = [Buried(_plane(np.full((12, 9), Material.ALITE)), depth, (0, 0))]
        face = _plane(_pore())
        signal = bare_signal(face, below, look_into_pores(face, below, VOXEL), LENS, 0.0, 1.0)
        greys.append(float(signal[0, 0]))
    bottomless = bare_signal(face, [], look_into_pores(face, [], VOXEL), LENS, 1.0, 1.0)
    assert greys == sorted(greys, reverse=True)
    assert greys[-1] > bottomless[0, 0] == contrast(LENS)[0][Material.PORE]


def test_solids_do_not_shine_through() -> None:
    face = _plane(np.full((12, 9), Material.QUARTZ))
    below = [Buried(_plane(np.full((12, 9), Material.FERRITE)), 50.0, (0, 0))]
    hits = look_into_pores(face, below, VOXEL)
    assert len(hits.place) == 0
    assert np.allclose(bare_signal(face, below, hits, LENS, 0.0, 1.0), contrast(LENS)[0][Material.QUARTZ])


def test_subsurface_mixes_in_what_lies_below() -> None:
    face, ferrite = _plane(np.full((12, 9), Material.QUARTZ)), _plane(np.full((12, 9), Material.FERRITE))
    grey = contrast(LENS)[0]
    signal = bare_signal(
        face, [Buried(ferrite, 30.0, (0, 0))], look_into_pores(face, [], VOXEL), LENS, subsurface=1.0, shine_through=0.0
    )
    share = np.exp(-1) / (1 + np.exp(-1))
    assert np.allclose(signal, (1 - share) * grey[Material.QUARTZ] + share * grey[Material.FERRITE], atol=0.01)


def test_composition_share_mixes_the_signals() -> None:
    grey, texture = ({s: contrast(LENS.replaced(composition=s))[part] for s in (0.0, 0.4, 1.0)} for part in (0, 1))
    assert np.allclose(grey[0.4], 0.4 * grey[1.0] + 0.6 * grey[0.0])
    np.testing.assert_array_equal((grey[1.0], grey[0.0], texture[1.0]), (BSE, SE, TEXTURE))
    assert np.allclose(texture[0.0], 0.7 * TEXTURE)  # secondary electrons tell less of density
    assert np.allclose(texture[0.4], 0.4 * texture[1.0] + 0.6 * texture[0.0])


@pytest.mark.parametrize(
    ("pair", "lens", "chamber"),
    [
        ((Material.QUARTZ, Material.OUTER_HYDRATE), 8, None),
        ((Material.PORTLANDITE, Material.INNER_HYDRATE), None, 16),
    ],
)
def test_hard_pairs_have_nearly_the_same_grey(
    pair: tuple[Material, Material], lens: int | None, chamber: int | None
) -> None:
    config = PhantomConfig()
    for detector, limit in ((config.lens, lens), (config.chamber, chamber)):
        first, second = contrast(detector)[0][list(pair)]
        if limit is not None:
            assert abs(first - second) < limit


def test_relief_lights_one_side_and_the_rims_of_pores() -> None:
    material = np.full((120, 120), Material.OUTER_HYDRATE)
    material[40:80, 40:80] = Material.PORE
    face = _plane(material)
    light = relief(face, hardness_map(face), VOXEL)
    assert np.allclose(light[5:15, 5:15], 0, atol=1e-3)
    assert light[38, 55:65].mean() > 0.1
    assert light[38, 55:65].mean() != pytest.approx(light[81, 55:65].mean(), abs=0.03)


def test_field_grid_is_centred_and_drifts_on_both_axes() -> None:
    config = PhantomConfig(rows=5, columns=4, voxel_nm=Voxel(z=40.0, y=20.0, x=10.0))
    grid = field_grid(config, Position(1, 40.0, 7.0, -3.0))
    assert grid.y.tolist() == [-33.0, -13.0, 7.0, 27.0, 47.0]
    assert grid.x.tolist() == [-18.0, -8.0, 2.0, 12.0]
