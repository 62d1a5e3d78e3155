"""Compiled thinning against that of scikit-image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage.morphology import skeletonize

from ctloupe.evaluate.compiled import thinning
from ctloupe.evaluate.compiled.thinning import thinned

needs_compiled = pytest.mark.skipif(thinning._library() is None, reason="this installation has no compiled code")


@needs_compiled
@given(
    st.tuples(*[st.integers(1, 20)] * 3),
    st.sampled_from([0, 0.7, 1.5, 3]),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_it_leaves_the_cubes_that_scikit_image_leaves(shape, smoothness, share, seed):
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), smoothness)
    flags = noise >= np.quantile(noise, share)
    before = flags.copy()
    assert np.array_equal(thinned(flags), np.argwhere(skeletonize(flags, method="lee")))
    assert np.array_equal(flags, before)


@pytest.mark.parametrize("known", [True, False])
def test_a_ring_stays_a_ring_and_a_ball_becomes_its_middle(known, monkeypatch):
    if not known:
        monkeypatch.setattr(thinning, "_library", lambda: None)
    z, y, x = np.indices((9, 31, 31)) - np.array([4, 15, 15])[:, None, None, None]
    ring = thinned(np.hypot(np.hypot(y, x) - 10, z) <= 3)
    assert len(ring) > 50 and np.abs(np.hypot(*(ring[:, 1:] - 15).T) - 10).max() < 2
    ball = thinned(z**2 + y**2 + x**2 <= 16)
    assert len(ball) <= 2 and np.abs(ball - [4, 15, 15]).max() <= 1


def test_of_nothing_nothing_is_left():
    assert thinned(np.zeros((3, 4, 5), bool)).shape == (0, 3)
