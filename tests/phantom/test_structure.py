from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monai_app.phantom.config import PhantomConfig, Structure
from monai_app.phantom.imaging.stage import Position
from monai_app.phantom.simulate import field_grid
from monai_app.phantom.structure.fields import Grid, RandomField, hashed_plane, spline_weights
from monai_app.phantom.structure.grains import GrainLattice, GrainShape
from monai_app.phantom.structure.microstructure import Microstructure
from monai_app.phantom.structure.phases import PHASE_OF, PHASES, Material
from monai_app.stack import Voxel
from tests.phantom.conftest import SMALL

Floats = npt.NDArray[np.float64]
HERE = Position(0, 0.0, 0.0, 0.0)


@lru_cache(maxsize=4)
def _structure(seed: int, structure: Structure) -> Microstructure:
    return Microstructure(seed, structure)


def _truth(seed: int, depth_nm: float, config: PhantomConfig = SMALL) -> npt.NDArray[np.uint8]:
    return _structure(seed, config.structure).plane(depth_nm, field_grid(config, HERE)).truth


def _fractions(truth: npt.NDArray[np.uint8]) -> Floats:
    return np.bincount(truth.ravel(), minlength=6)[1:] / truth.size


def steps(count: int, length: float) -> Floats:
    return np.arange(count, dtype=np.float64) * length


@pytest.fixture(scope="module")
def fractions() -> Floats:
    """(seeds, 5) volume fractions of the default field, from three depths each."""
    depths = (0.0, 450.0, 900.0)
    return np.array([np.mean([_fractions(_truth(seed, z)) for z in depths], axis=0) for seed in range(8)])


def test_phases_are_five_and_every_material_has_one() -> None:
    assert [phase.value for phase in PHASES] == [1, 2, 3, 4, 5]
    assert set(PHASE_OF) == {1, 2, 3, 4, 5}
    assert len(PHASE_OF) == len(Material)
    assert len({phase.colour for phase in PHASES}) == 5


def test_mean_fractions_are_those_of_cement_mortar(fractions: Floats) -> None:
    low, high = [0.08, 0.38, 0.07, 0.07, 0.15], [0.12, 0.56, 0.15, 0.16, 0.30]
    mean = fractions.mean(axis=0)
    assert np.all(mean > low), mean
    assert np.all(mean < high), mean


def test_every_field_shows_every_phase(fractions: Floats) -> None:
    assert np.all(fractions > 0.02), fractions.min(axis=0)
    assert fractions[:, 0].min() > 0.05
    assert fractions[:, 0].max() < 0.16


def test_neighbouring_planes_agree_far_more_than_distant_ones() -> None:
    near = np.mean(_truth(0, 0.0) == _truth(0, 40.0))
    far = np.mean(_truth(0, 0.0) == _truth(0, 1600.0))
    unrelated = np.mean(_truth(0, 0.0) == _truth(0, 40_000.0))
    assert near > 0.93
    assert near > far + 0.1 > unrelated + 0.1


def test_pores_live_on_along_z() -> None:
    planes = [_truth(3, z) == 1 for z in (0.0, 40.0, 80.0, 1200.0)]
    kept = [np.sum(planes[0] & other) / np.sum(planes[0]) for other in planes[1:]]
    assert kept[0] > 0.75
    assert kept[0] > kept[1] > kept[2] + 0.2


def test_pixel_size_changes_the_sampling_not_the_material() -> None:
    fine = SMALL.replaced(rows=512, columns=512, voxel_nm=Voxel(z=40.0, y=20.0, x=20.0))
    # Pixel centres of the coarse grid lie between those of the fine one; the nearest is 10 nm away.
    thinned = _truth(1, 200.0, fine)[2::4, 2::4]
    assert np.mean(thinned == _truth(1, 200.0)) > 0.95


def test_another_seed_is_another_material() -> None:
    assert np.mean(_truth(0, 0.0) == _truth(1, 0.0)) < 0.6


def test_porosity_follows_its_level() -> None:
    dense, open_ = (SMALL.replaced(structure=Structure(pore_level=level)) for level in (1.6, 0.4))
    assert _fractions(_truth(0, 0.0, dense))[0] < 0.7 * _fractions(_truth(0, 0.0, open_))[0]


def test_clinker_is_one_phase_and_three_materials() -> None:
    plane = Microstructure(1, Structure()).plane(0.0, field_grid(PhantomConfig(), HERE))
    kinds = {Material.BELITE, Material.ALITE, Material.FERRITE}
    assert kinds <= set(plane.material[plane.truth == 4]) == set(map(int, kinds))


def test_hydrate_is_textured_and_quartz_flat() -> None:
    plane = Microstructure(0, Structure()).plane(0.0, field_grid(PhantomConfig(), HERE))
    outer = plane.texture[plane.material == Material.OUTER_HYDRATE]
    assert outer.std() > 8


def test_field_has_unit_variance_and_no_mean() -> None:
    grid = Grid(steps(400, 31.0), steps(300, 31.0))
    values = RandomField(0, 5, 100.0).sample(grid, 50.0)
    assert abs(values.mean()) < 0.1
    assert 0.85 < values.std() < 1.15


@given(y=st.integers(-40, 40), x=st.integers(-40, 40), z=st.integers(-5, 5))
def test_hashed_lattice_does_not_depend_on_the_range_asked_for(y: int, x: int, z: int) -> None:
    part = hashed_plane(7, z, range(y, y + 4), range(x, x + 5))
    whole = hashed_plane(7, z, range(-48, 48), range(-48, 48))
    assert np.array_equal(part, whole[y + 48 : y + 52, x + 48 : x + 53])


@given(st.floats(0, 1))
def test_spline_weights_sum_to_one(offset: float) -> None:
    assert np.isclose(spline_weights(np.array([offset])).sum(), 1)


@settings(max_examples=20)
@given(shift=st.floats(-4000, 4000), z=st.floats(-3000, 3000))
def test_field_is_a_function_of_position(shift: float, z: float) -> None:
    y, x = steps(30, 20.0), steps(20, 20.0)
    field = RandomField(3, 1, 90.0)
    moved = field.sample(Grid(y + shift, x), z)
    wider = field.sample(Grid(np.concatenate([y, y + 600]) + shift, np.concatenate([x, x + 400])), z)
    assert np.allclose(moved, wider[:30, :20], atol=1e-4)


def test_grain_lattice_forgets_layers_behind() -> None:
    lattice = GrainLattice(0, 1, 1000.0, GrainShape((200.0, 300.0), 12, 0.1))
    grid = Grid(steps(20, 100.0), steps(20, 100.0))
    sizes = []
    for z in range(0, 60_000, 1000):
        lattice.nearest(float(z), grid, 100.0)
        sizes.append(len(lattice._layers))
    assert max(sizes) <= 3


def test_grain_distance_is_negative_inside_and_grows_outwards() -> None:
    grain = GrainShape((500.0, 500.0), 14, 0.05, (1.0, 1.0)).draw(np.random.default_rng(0), np.zeros(3))
    line = grain.distance(0.0, Grid(np.zeros(1), np.arange(0.0, 1000.0, 50.0)))[0]
    assert line[0] < -400
    assert np.all(np.diff(line) > 0)
    assert line[-1] > 200
