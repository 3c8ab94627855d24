"""The benchmark of trainings on single micrographs."""

import numpy as np
from micrographs import Trial

GREY = np.random.default_rng(0).integers(60, 90, (8, 12), np.uint8)


def test_normalised_micrographs_do_not_depend_on_gain_and_offset() -> None:
    trial = Trial(normalised=True)
    one, other = (trial.image(each).astype(int) for each in (GREY, GREY * 2 + 40))
    assert abs(one - other).max() <= 1
    assert abs(one.mean() - 32768) < 1
    assert abs(one.std() - 8192) < 1


def test_binned_pixels_are_means_and_labels_those_of_one_pixel() -> None:
    trial = Trial(binned=2)
    assert trial.image(GREY).tolist() == np.rint(GREY.reshape(4, 2, 6, 2).mean((1, 3))).tolist()
    assert trial.labels(GREY).tolist() == GREY[::2, ::2].tolist()
