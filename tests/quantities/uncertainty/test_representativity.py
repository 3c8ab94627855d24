"""Representativity of Boolean models, of which fraction and variance are known exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from monai_app.quantities.uncertainty.cells import Counts
from monai_app.quantities.uncertainty.covariance import Lags
from monai_app.quantities.uncertainty.representativity import Representativity, represent, wilson
from tests.quantities.uncertainty.boolean import BooleanModel

CUBE = (1.0, 1.0, 1.0)
COUNTS = arrays(np.int64, array_shapes(min_dims=4, max_dims=4, max_side=4), elements=st.integers(0, 9))


def counts_of(model: BooleanModel, shape: tuple[int, int, int], seed: int, step: int = 1) -> Counts:
    """Voxels of both phases in cells of ``step`` rows and columns."""
    voxels = model.draw(shape, seed)
    boxes = voxels.reshape(shape[0], shape[1] // step, step, shape[2] // step, step)
    return np.stack([(boxes == value).sum(axis=(2, 4)) for value in (1, 2)])


def estimates(model: BooleanModel, shape: tuple[int, int, int], number: int, step: int = 1) -> list[Representativity]:
    z, y, x = model.voxel_nm
    return [
        represent(counts_of(model, shape, seed, step), (z, y * step, x * step), float(np.prod(model.voxel_nm)))[0]
        for seed in range(number)
    ]


@given(COUNTS)
@settings(deadline=None)
def test_covariances_are_those_of_all_pairs_of_cells(counts: Counts) -> None:
    weights = counts.sum(axis=0)
    if not weights.any():
        return
    lags, cells = Lags(weights, (2.0, 1.0, 1.0)), list(np.ndindex(weights.shape))
    sums, shares = np.zeros(20), np.zeros(20)
    deviations = counts[0] - counts[0].sum() / weights.sum() * weights
    for one in cells:
        for other in cells:
            distance = np.linalg.norm((np.array(one) - other) * (2, 1, 1))
            sums[round(distance / 2)] += deviations[one] * deviations[other] / weights.sum() ** 2
            shares[round(distance / 2)] += weights[one] * weights[other] / weights.sum() ** 2
    found = lags.by_shell(lags.covariances(counts[0]))
    np.testing.assert_allclose(found, sums[: len(found)], atol=1e-12)
    np.testing.assert_allclose(lags.by_shell(lags.share), shares[: len(found)], atol=1e-12)


@pytest.mark.parametrize(
    ("model", "shape", "step"),
    [
        (BooleanModel(4, 0.3), (30, 48, 48), 1),
        (BooleanModel(4, 0.3), (30, 48, 48), 2),
        (BooleanModel(4, 0.3), (8, 80, 80), 2),
        (BooleanModel(4, 0.3, (2.0, 1.0, 1.0)), (16, 48, 48), 2),
    ],
    ids=["voxels", "cells", "thin", "anisotropic"],
)
def test_the_variance_is_that_of_the_model(model: BooleanModel, shape: tuple[int, int, int], step: int) -> None:
    found = estimates(model, shape, 10, step)
    variance = model.variance(shape)
    assert np.median([each.standard_deviation**2 for each in found]) == pytest.approx(variance, rel=0.25)
    expected = np.prod(shape) * np.prod(model.voxel_nm) * variance / (0.3 * 0.7)
    assert np.median([each.integral_range_nm3 for each in found]) == pytest.approx(expected, rel=0.35)


def test_the_mean_of_a_small_volume_does_not_hide_its_variance() -> None:
    """A fifth of all pairs is correlated here, by which covariances about the volume's own mean are too small."""
    models = (BooleanModel(4, 0.3), (12, 24, 24)), (BooleanModel(4, 0.5), (16, 20, 20))
    ratios = [
        np.mean([each.standard_deviation**2 for each in estimates(model, shape, 40)]) / model.variance(shape)
        for model, shape in models
    ]
    assert 0.9 < np.mean(ratios) < 1.1


def test_the_fraction_of_the_material_lies_in_the_interval_in_95_of_100_cases() -> None:
    held, deviations = [], []
    for model in (BooleanModel(3, 0.1), BooleanModel(3, 0.5), BooleanModel(4, 0.8)):
        for each in estimates(model, (12, 32, 32), 28):
            if not each.unreliable:
                held.append(each.low <= model.between <= each.high)
                deviations.append((each.fraction - model.between) / each.standard_deviation)
    assert len(held) > 60
    assert np.mean(held) >= 0.9
    assert 0.8 < np.std(deviations) < 1.25


def test_two_phases_have_the_same_uncertainty() -> None:
    between, inside = represent(counts_of(BooleanModel(4, 0.3), (16, 32, 32), 0), CUBE, 1)
    assert between.standard_deviation == pytest.approx(inside.standard_deviation)
    assert (between.low, between.high) == pytest.approx((1 - inside.high, 1 - inside.low))


def test_cells_without_segmented_voxels_take_no_part() -> None:
    counts = counts_of(BooleanModel(3, 0.4), (16, 32, 32), 0)
    padded = np.pad(counts, ((0, 0), (2, 5), (3, 0), (0, 9)))
    plain, masked = represent(counts, CUBE, 1)[0], represent(padded, CUBE, 1)[0]
    assert masked.standard_deviation == pytest.approx(plain.standard_deviation)
    assert (masked.low, masked.high) == pytest.approx((plain.low, plain.high))


def test_sub_volumes_of_a_uniform_material_vary_as_predicted() -> None:
    found = estimates(BooleanModel(2.5, 0.4), (20, 36, 36), 12)
    freedom = [each.parts - 1 for each in found]
    assert min(freedom) >= 3
    assert np.average([each.variance_ratio for each in found], weights=freedom) == pytest.approx(1, abs=0.2)


def test_a_material_that_changes_within_the_volume_is_marked() -> None:
    low, high = (counts_of(BooleanModel(2, between), (20, 40, 20), 0) for between in (0.15, 0.6))
    found = represent(np.concatenate([low, high], axis=3), CUBE, 1)[0]
    assert "smaller than the range of its correlation" in found.unreliable[0]


@pytest.mark.parametrize(("axis", "others"), [(0, "y and x"), (1, "z and x"), (2, "z and y")])
def test_layers_are_marked_because_they_are_correlated_in_the_plane(axis: int, others: str) -> None:
    for seed in range(2):
        solid = np.random.default_rng(seed).random(40) < 0.5
        layers = np.moveaxis(np.broadcast_to(solid[:, None, None], (40, 40, 40)), 0, axis)
        found = represent(np.stack([layers, ~layers]).astype(int), CUBE, 1)
        assert all(f"along {others} it is still correlated" in "; ".join(each.unreliable) for each in found)


def test_grains_without_direction_are_not_taken_for_layers() -> None:
    found = estimates(BooleanModel(4, 0.5), (12, 48, 48), 4)
    assert not any("along" in reason for each in found for reason in each.unreliable)
    assert max(np.nanmax(each.beyond) for each in found) < 0.2


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        (counts_of(BooleanModel(12, 0.5), (12, 24, 24), 0), "the volume is smaller than the range"),
        (counts_of(BooleanModel(7, 0.05), (16, 24, 24), 1), "independent observations of it; 5 are needed"),
        (np.stack([np.ones((4, 4, 4), int), np.zeros((4, 4, 4), int)]), "every voxel has this phase"),
        (np.array([[[[1, 0]]], [[[0, 1]]]]), "more than 4 full ones are needed"),
    ],
)
def test_unreliable_numbers_are_marked(counts: Counts, reason: str) -> None:
    assert reason in "; ".join(represent(counts, CUBE, 1)[0].unreliable)


def test_a_regular_pattern_varies_no_less_than_independent_voxels() -> None:
    board = np.indices((8, 8, 8)).sum(axis=0) % 2
    found = represent(np.stack([board, 1 - board]), CUBE, 1)[0]
    assert found.observations <= 512
    uniform = np.full((2, 6, 6, 6), 4)
    assert np.isfinite(represent(uniform, CUBE, 1)[0].low)


def test_wilson_is_the_interval_of_scipy_for_many_degrees_of_freedom() -> None:
    from scipy.stats import binomtest

    expected = binomtest(7, 50).proportion_ci(0.95, "wilson")
    assert wilson(0.14, 50, 1e9, 0.95) == pytest.approx((expected.low, expected.high))
