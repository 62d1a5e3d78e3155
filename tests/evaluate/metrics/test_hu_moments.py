"""Hu moments and m-HuM against scikit-image and a loop over the definition."""

import math

import numpy as np
import pytest
from scipy.ndimage import rotate, zoom
from skimage.measure import moments_central, moments_hu, moments_normalized

from ctloupe.evaluate.metrics.hu_moments import hu_distances, hu_moments, minimum_hu_distance


def blobs(count, seed=0, size=32):
    from scipy.ndimage import gaussian_filter

    white = np.random.default_rng(seed).standard_normal((count, size, size))
    smooth = gaussian_filter(white, (0, 3, 3))
    return np.where(smooth > 0.1, smooth, 0)


def test_moments_are_those_of_scikit_image():
    images = blobs(6)
    expected = [moments_hu(moments_normalized(moments_central(image))) for image in images]
    found = hu_moments(images)
    # The sign of the last invariant depends on which axis comes first.
    assert np.allclose(found[:, :6], np.array(expected)[:, :6], rtol=1e-6, atol=1e-18)
    assert np.allclose(np.abs(found[:, 6]), np.abs(np.array(expected)[:, 6]), rtol=1e-6, atol=1e-18)


def test_moments_do_not_depend_on_turn_or_size():
    image = np.zeros((64, 64))
    image[20:44, 28:36] = 1
    image[20:28, 20:44] = 1
    turned = rotate(image, 90)
    larger = zoom(image, 3, order=0)
    one, other, third = hu_moments(image[None])[0], hu_moments(turned[None])[0], hu_moments(larger[None])[0]
    assert np.allclose(one, other, rtol=1e-6, atol=1e-12)
    assert np.allclose(one[:4], third[:4], rtol=0.02, atol=1e-9)


def test_an_image_without_mass_has_no_moments():
    assert not hu_moments(np.zeros((1, 8, 8))).any()


@pytest.mark.parametrize("kind", ["I1", "I2", "I3"])
def test_distances_are_those_of_a_loop_over_the_definition(kind):
    a, b = hu_moments(blobs(4, 1)), hu_moments(blobs(5, 2))
    found = hu_distances(a, b, kind)
    for i, j in np.ndindex(found.shape):
        parts = []
        for first, second in zip(a[i], b[j], strict=True):
            if abs(first) <= 1e-5 or abs(second) <= 1e-5:
                continue
            n = math.copysign(1, second) * math.log10(abs(second))
            m = math.copysign(1, first) * math.log10(abs(first))
            parts.append({"I1": abs(1 / n - 1 / m), "I2": abs(n - m), "I3": abs(n - m) / abs(m)}[kind])
        expected = (max(parts, default=0.0) if kind == "I3" else sum(parts)) if parts else 0.0
        assert found[i, j] == pytest.approx(expected)


def test_the_minimum_distance_is_zero_for_what_is_in_the_other_set():
    a = hu_moments(blobs(5, 1))
    assert minimum_hu_distance(a, np.concatenate([hu_moments(blobs(9, 2)), a])) == 0
    assert minimum_hu_distance(a, hu_moments(blobs(9, 2))) >= 0


@pytest.mark.parametrize(("kind", "number"), [("I1", 1), ("I2", 2), ("I3", 3)])
def test_the_minimum_distance_is_that_of_a_loop_over_opencvs_match_shapes(kind, number):
    cv2 = pytest.importorskip("cv2")
    a, b = blobs(8, 3).astype(np.float32), blobs(11, 4).astype(np.float32)
    nearest = [min(cv2.matchShapes(one, other, number, 0) for other in b) for one in a]
    assert minimum_hu_distance(hu_moments(a), hu_moments(b), kind) == pytest.approx(np.mean(nearest), rel=1e-4)
