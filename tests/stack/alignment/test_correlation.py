"""Pictures made smaller, and the peak of their correlation."""

import numpy as np
import pytest
import skimage.registration
from scipy import fft

from monai_app.stack.alignment.correlation import correlate, find_peak, normalised, reduced
from tests.stack.alignment.drifting import moved, texture


@pytest.mark.parametrize("factor", [1, 2, 3, 8])
def test_reduced_pixels_are_means(factor: int) -> None:
    plane = np.random.default_rng(0).integers(0, 65535, (50, 41)).astype(np.uint16)
    small = reduced(plane, factor)
    assert small.shape == (50 // factor, 41 // factor)
    expected = plane[factor : 2 * factor, 2 * factor : 3 * factor].mean()
    assert small[1, 2] == pytest.approx(expected, rel=1e-6)


def test_the_peak_is_where_scikit_image_finds_it() -> None:
    first = texture(1, 96, 121)[0].astype(np.float32)
    first -= first.mean()
    second = moved(texture(1, 96, 121)[0], (4.3, -6.8)).astype(np.float32)
    second -= second.mean()
    one, other = (normalised(fft.rfft2(plane), (96, 121)) for plane in (first, second))
    peak = find_peak(correlate(one, other, (96, 121)), (20, 20))
    shift, *_ = skimage.registration.phase_cross_correlation(second, first, upsample_factor=20, normalization=None)
    np.testing.assert_allclose(peak.move, shift, atol=0.2)
    assert 0.5 < peak.height <= 1


def test_the_correlation_of_a_picture_with_itself_is_1_and_stands_out() -> None:
    plane = texture(1, 64, 65)[0].astype(np.float32)
    spectrum = normalised(fft.rfft2(plane - plane.mean()), (64, 65))
    peak = find_peak(correlate(spectrum, spectrum, (64, 65)), (64, 65))
    assert peak.height == pytest.approx(1, abs=1e-4)
    assert peak.move == pytest.approx((0, 0), abs=1e-3)
    assert peak.sharpness > 6
