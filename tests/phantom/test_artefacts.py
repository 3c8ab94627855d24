import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monai_app.phantom.imaging import artefacts
from monai_app.phantom.resample import coarsen, refine, shifted, soften
from monai_app.phantom.structure.phases import Material


def test_shadow_deepens_downwards_and_is_off_at_zero() -> None:
    shade = artefacts.shadow(100, 80, 0.5)
    assert np.all(np.diff(shade, axis=0) < 0)
    assert np.all(np.diff(shade, axis=1) < 0)
    # f = 0.55 at the bottom of a trench twice as long as deep: 1 - 0.5 * 0.45.
    assert shade[-1, 0] == pytest.approx(1 - 0.5 * (1 - 0.553), abs=0.01)
    assert np.all(artefacts.shadow(100, 80, 0.0) == 1)


def test_charge_builds_up_along_the_scan_and_decays() -> None:
    material = np.full((3, 800), Material.FERRITE, dtype=np.uint8)
    material[:, 200:400] = Material.QUARTZ
    lost = artefacts.charge(material, 20.0)[1]
    assert lost[150] == 0
    assert np.all(np.diff(lost[208:400]) >= 0)
    assert lost[390] > lost[450] > lost[600] > 0


@pytest.mark.parametrize("electrons", [60.0, 3000.0, 100_000.0])
@pytest.mark.parametrize("level", [40, 120, 200])
def test_noise_table_has_the_moments_of_poisson_and_gauss(electrons: float, level: int) -> None:
    values = artefacts.noise_table(electrons, 2.0, 1.0)[level].astype(float)
    assert values.mean() == pytest.approx(level, abs=1.0)
    expected = level * 255 / electrons + 4.0 + 1 / 12
    saturates = level + 3 * expected**0.5 > 255
    assert values.var() == pytest.approx(expected, rel=0.3 if saturates else 0.06)


def test_noise_table_is_skewed_like_poisson() -> None:
    values = artefacts.noise_table(60.0, 0.0, 1.0)[60].astype(float)
    skew = np.mean((values - values.mean()) ** 3) / values.std() ** 3
    assert skew == pytest.approx((60 * 60 / 255) ** -0.5, rel=0.2)


def test_no_noise_records_the_image() -> None:
    image = np.array([[0.0, 17.4, 254.6, 300.0, -5.0]], dtype=np.float32)
    recorded = artefacts.record(image, artefacts.noise_table(60.0, 2.0, 0.0), np.random.default_rng(0))
    assert recorded.tolist() == [[0, 17, 255, 255, 0]]


@given(rows=st.integers(1, 40), columns=st.integers(1, 40), step=st.integers(1, 5))
def test_coarse_and_back_keeps_a_constant(rows: int, columns: int, step: int) -> None:
    image = np.full((rows, columns), 3.5, dtype=np.float32)
    assert np.allclose(refine(coarsen(image, step), step, image.shape), 3.5)


def test_coarse_and_back_keeps_a_ramp() -> None:
    ramp = np.add.outer(np.arange(32.0), 2 * np.arange(24.0)).astype(np.float32)
    assert np.allclose(refine(coarsen(ramp, 4), 4, ramp.shape)[4:-4, 4:-4], ramp[4:-4, 4:-4], atol=1e-3)


@given(st.floats(0, 2.5))
def test_soften_keeps_the_sum_and_has_its_width(sigma: float) -> None:
    point = np.zeros((41, 41), dtype=np.float32)
    point[20, 20] = 1
    soft = soften(point, sigma)
    profile = soft.sum(axis=0)
    assert soft.sum() == pytest.approx(1, abs=1e-4)
    assert np.sqrt((profile * (np.arange(41) - 20) ** 2).sum()) == pytest.approx(sigma, abs=0.01)


def test_shifted_repeats_the_border() -> None:
    image = np.arange(12).reshape(3, 4)
    assert shifted(image, 1, 0).tolist() == [[4, 5, 6, 7], [8, 9, 10, 11], [8, 9, 10, 11]]
    assert shifted(image, 0, -1)[0].tolist() == [0, 0, 1, 2]
