import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

from monai_app import phantom
from monai_app.phantom.config import Artefacts, PhantomConfig
from monai_app.phantom.imaging.detectors import window_planes
from monai_app.phantom.imaging.stage import positions
from monai_app.phantom.simulate import PhantomSlice, simulate
from monai_app.stack import Voxel
from tests.phantom.conftest import SHARP, SMALL, same, with_artefacts


def test_the_package_offers_what_it_names() -> None:
    assert all(hasattr(phantom, name) for name in phantom.__all__)


def test_same_seed_same_stack() -> None:
    assert all(same(a, b) for a, b in zip(simulate(SMALL), simulate(SMALL), strict=True))


def test_another_seed_is_another_stack(one_slice: Callable[[PhantomConfig], PhantomSlice]) -> None:
    first, second = one_slice(SMALL), one_slice(SMALL.replaced(seed=1))
    assert not np.array_equal(first.truth, second.truth)
    assert not np.array_equal(first.images["TLD"], second.images["TLD"])


def test_prefix_of_a_longer_stack_is_the_shorter_stack() -> None:
    long = list(islice(simulate(SMALL.replaced(slices=100)), SMALL.slices))
    assert all(same(a, b) for a, b in zip(simulate(SMALL), long, strict=True))


@settings(max_examples=8, deadline=None)
@given(rows=st.integers(1, 70), columns=st.integers(1, 70), voxel=st.floats(4, 200), thickness=st.floats(20, 300))
def test_any_size_and_voxel(rows: int, columns: int, voxel: float, thickness: float) -> None:
    config = PhantomConfig(slices=2, rows=rows, columns=columns, voxel_nm=Voxel(z=thickness, y=voxel, x=voxel))
    for z, item in enumerate(simulate(config)):
        assert item.z == z
        assert item.truth.shape == (rows, columns)
        assert item.truth.dtype == np.uint8
        assert set(np.unique(item.truth)) <= {1, 2, 3, 4, 5}
        assert list(item.images) == ["ICE", "TLD"]
        for image in item.images.values():
            assert image.shape == (rows, columns)
            assert image.dtype == np.uint8


def test_thin_slices_keep_a_bounded_window() -> None:
    config = PhantomConfig(slices=1, rows=20, columns=20, voxel_nm=Voxel(z=1.0, y=20.0, x=20.0))
    assert next(simulate(config)).truth.shape == (20, 20)
    assert window_planes(config.voxel_nm) <= 16


def test_memory_does_not_grow_with_the_stack() -> None:
    config = PhantomConfig(slices=40, rows=32, columns=32, voxel_nm=Voxel(z=80.0, y=60.0, x=60.0))
    tracemalloc.start()
    try:
        held = [tracemalloc.get_traced_memory()[0] for _ in simulate(config)]
    finally:
        tracemalloc.stop()
    assert held[-1] < 1.3 * max(held[5:15])


def test_all_phases_in_most_slices_of_the_default_stack(default_stack: list[PhantomSlice]) -> None:
    assert sum(len(np.unique(item.truth)) == 5 for item in default_stack) >= 5


def test_detectors_differ_in_noise(one_slice: Callable[[PhantomConfig], PhantomSlice]) -> None:
    """Noise of flat quartz, from differences of neighbouring pixels."""
    item = one_slice(SHARP)
    quartz = item.truth == 5
    inside = quartz[:, 1:] & quartz[:, :-1]
    assert inside.sum() > 2000
    spread = {
        name: np.diff(image.astype(float), axis=1)[inside].std() / image[quartz].mean()
        for name, image in item.images.items()
    }
    assert spread["ICE"] > 1.4 * spread["TLD"]


def test_noise_is_independent_per_detector_and_slice(one_slice: Callable[[PhantomConfig], PhantomSlice]) -> None:
    clean = one_slice(with_artefacts(SHARP))
    noisy = list(simulate(with_artefacts(SHARP, noise=1.0).replaced(slices=2)))
    second = list(simulate(with_artefacts(SHARP).replaced(slices=2)))[1]
    residue = [noisy[0].images[name].astype(float) - clean.images[name] for name in ("ICE", "TLD")]
    later = noisy[1].images["TLD"].astype(float) - second.images["TLD"]
    for first, other in ((residue[0], residue[1]), (residue[1], later)):
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.02


def test_noise_is_shot_noise(one_slice: Callable[[PhantomConfig], PhantomSlice]) -> None:
    """The variance grows with the signal as 255 s / N, over the Gaussian part."""
    clean, noisy = one_slice(with_artefacts(SHARP)), one_slice(with_artefacts(SHARP, noise=1.0))
    levels = clean.images["TLD"].ravel()
    residue = noisy.images["TLD"].ravel().astype(float) - levels
    lens = SHARP.lens
    for low, high in ((90, 110), (165, 200)):
        chosen = (levels >= low) & (levels < high)
        expected = levels[chosen].mean() * 255 / lens.electrons + lens.read_noise**2
        assert residue[chosen].var() == pytest.approx(expected, rel=0.12)
        assert residue[chosen].mean() == pytest.approx(0, abs=0.6)


_IMAGE_ARTEFACTS = sorted(set(Artefacts.model_fields) - {"drift", "thickness_jitter"})


@pytest.mark.parametrize("name", _IMAGE_ARTEFACTS)
def test_an_artefact_changes_images_and_never_the_truth(
    name: str, one_slice: Callable[[PhantomConfig], PhantomSlice]
) -> None:
    without, with_it = one_slice(with_artefacts(SHARP)), one_slice(with_artefacts(SHARP, **{name: 1.0}))
    assert np.array_equal(without.truth, with_it.truth)
    for detector in ("ICE", "TLD"):
        assert not np.array_equal(without.images[detector], with_it.images[detector])


def test_strength_scales(one_slice: Callable[[PhantomConfig], PhantomSlice]) -> None:
    clean = one_slice(with_artefacts(SHARP)).images["ICE"].astype(float)
    for name in ("noise", "curtaining", "shadowing", "charging", "topography"):
        half, full = (one_slice(with_artefacts(SHARP, **{name: s})).images["ICE"] - clean for s in (0.5, 1.0))
        assert 0.3 < np.abs(half).mean() / np.abs(full).mean() < 0.7, name


def test_without_artefacts_solids_have_their_grey_and_pores_are_dark(
    one_slice: Callable[[PhantomConfig], PhantomSlice],
) -> None:
    item = one_slice(with_artefacts(SHARP))
    assert np.all(item.images["TLD"][item.truth == 1] == 24)
    assert np.abs(item.images["TLD"][item.truth == 5].astype(float) - 102).max() < 6


def test_switching_off_one_artefact_leaves_the_others(one_slice: Callable[[PhantomConfig], PhantomSlice]) -> None:
    """Noise off: the remaining image is the full one without its noise, not a different one."""
    full = one_slice(SHARP).images["ICE"].astype(float)
    quiet = one_slice(SHARP.replaced(artefacts=Artefacts(noise=0.0))).images["ICE"].astype(float)
    assert abs((full - quiet).mean()) < 0.5
    blocks = (full - quiet).reshape(16, 16, 16, 16).mean(axis=(1, 3))
    assert blocks.std() < 0.15 * (full - quiet).std()


def test_drift_moves_truth_and_detectors_together(one_slice: Callable[[PhantomConfig], PhantomSlice]) -> None:
    """Without any other artefact the images are a function of the truth's material, wherever the field drifted."""
    still = list(simulate(with_artefacts(SHARP).replaced(slices=4)))
    moved = list(simulate(with_artefacts(SHARP, drift=8.0).replaced(slices=4)))
    assert same(still[0], moved[0])
    assert not np.array_equal(still[3].truth, moved[3].truth)
    shift = [
        round(getattr(moved[3].position, f"drift_{axis}_nm") / getattr(SHARP.voxel_nm, axis)) for axis in ("y", "x")
    ]
    assert max(map(abs, shift)) >= 2
    for name in ("truth", "ICE", "TLD"):
        a, b = ((item.truth if name == "truth" else item.images[name])[30:-30, 30:-30] for item in (still[3], moved[3]))
        back = np.roll(item_of(moved[3], name), shift, axis=(0, 1))[30:-30, 30:-30]
        assert np.mean(np.abs(a.astype(float) - back)) < 0.35 * np.mean(np.abs(a.astype(float) - b)), name


def item_of(item: PhantomSlice, name: str) -> npt.NDArray[np.uint8]:
    return item.truth if name == "truth" else item.images[name]


def test_positions() -> None:
    still = list(islice(positions(with_artefacts(PhantomConfig())), 50))
    assert [place.depth_nm for place in still] == [40.0 * z for z in range(50)]
    assert {(place.drift_y_nm, place.drift_x_nm) for place in still} == {(0.0, 0.0)}
    jittered = list(islice(positions(PhantomConfig()), 2000))
    steps = np.diff([place.depth_nm for place in jittered])
    assert steps.mean() == pytest.approx(40, rel=0.01)
    assert steps.std() / steps.mean() == pytest.approx(0.06, rel=0.1)
    assert np.diff([place.drift_y_nm for place in jittered]).std() == pytest.approx(10, rel=0.1)


def test_jitter_samples_the_material_at_the_true_depth() -> None:
    config = with_artefacts(SMALL, thickness_jitter=4.0)
    jittered = list(simulate(config))[2]
    thickness = jittered.position.depth_nm / 2
    even = with_artefacts(SMALL.replaced(voxel_nm=Voxel(z=thickness, y=80.0, x=80.0)))
    assert thickness != SMALL.voxel_nm.z
    assert np.array_equal(jittered.truth, list(simulate(even))[2].truth)


def test_shine_through_brightens_pores_by_what_lies_behind() -> None:
    config = SHARP.replaced(rows=400, columns=400, slices=2, voxel_nm=Voxel(z=40.0, y=20.0, x=20.0))
    dark = list(simulate(with_artefacts(config)))
    bright = list(simulate(with_artefacts(config, shine_through=1.0)))
    pore = dark[0].truth == 1
    assert np.array_equal(dark[0].truth, bright[0].truth)
    assert np.array_equal(dark[0].images["TLD"][~pore], bright[0].images["TLD"][~pore])
    # A pore that ends on the next slice shows more of what is behind than one that goes on.
    shown = bright[0].images["TLD"]
    ends = pore & (np.roll(bright[1].truth, -2, axis=0) != 1)
    deep = pore & (np.roll(bright[1].truth, -2, axis=0) == 1)
    assert shown[ends].mean() > shown[deep].mean() + 15
    assert np.percentile(shown[pore], 90) > 70


def _accuracy(
    images: Sequence[Mapping[str, npt.NDArray[np.uint8]]], truths: Sequence[npt.NDArray[np.uint8]], names: Sequence[str]
) -> float:
    """Balanced accuracy on the second slice of a per-pixel Gaussian classifier trained on the first."""
    pixels = [np.stack([item[name].ravel() for name in names], axis=1).astype(float) for item in images]
    model = QuadraticDiscriminantAnalysis(priors=np.full(5, 0.2)).fit(pixels[0], truths[0].ravel())
    found = model.predict(pixels[1])
    return float(np.mean([np.mean(found[truths[1].ravel() == value] == value) for value in range(1, 6)]))


def test_single_pixels_are_ambiguous_and_detectors_complement_each_other(default_stack: list[PhantomSlice]) -> None:
    images, truths = zip(*((default_stack[z].images, default_stack[z].truth) for z in (0, 5)), strict=True)
    ice, tld, both = (_accuracy(images, truths, names) for names in (["ICE"], ["TLD"], ["ICE", "TLD"]))
    assert ice < tld < both - 0.02
    assert 0.3 < ice < 0.6
    assert both < 0.8


def test_neighbours_along_z_help_in_pores(default_stack: list[PhantomSlice]) -> None:
    """Shine-through: behind a bright pore pixel lies the solid that the next slices cut."""
    here, after = default_stack[0], default_stack[2]
    pore = here.truth == 1
    columns = np.roll(after.images["TLD"].astype(float), -3, axis=0)[pore]
    assert np.corrcoef(here.images["TLD"].astype(float)[pore], columns)[0, 1] > 0.3
