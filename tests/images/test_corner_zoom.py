"""The released code's reduction: cubic splines whose first and last samples are those of the image."""

import numpy as np
import pytest
from scipy.ndimage import zoom

from ctloupe.images.corner_zoom import corner_zoom_matrix


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_it_is_scipys_zoom_along_each_axis(scale):
    image = np.random.default_rng(scale).normal(size=(6 * scale, 5 * scale))
    rows, columns = (corner_zoom_matrix(size, scale) for size in image.shape)
    np.testing.assert_allclose(rows @ image @ columns.T, zoom(image, 1 / scale, order=3, mode="mirror"), atol=1e-10)


def test_the_corners_stay_where_they_are_and_nothing_is_averaged():
    matrix = corner_zoom_matrix(64, 8)
    np.testing.assert_allclose(matrix @ np.linspace(0, 1, 64), np.linspace(0, 1, 8), atol=1e-10)
    # Reduction by blocks would leave nothing of stripes that are finer than its samples.
    assert np.abs(matrix @ np.resize([1.0, -1.0], 64)).max() > 0.5


def test_a_size_that_is_no_multiple_is_refused():
    with pytest.raises(ValueError, match="63 samples are not a multiple of 8"):
        corner_zoom_matrix(63, 8)
