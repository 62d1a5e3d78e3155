"""Sums over rectangles, against adding up each of them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ctloupe.images.squares import sums_over


@given(st.integers(1, 9), st.integers(1, 9), st.data())
@settings(max_examples=30, deadline=None)
def test_every_rectangle_is_summed_by_its_first_corner(height, width, data):
    tall, wide = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    random = np.random.default_rng(height * width)
    for plane in (random.integers(-9, 9, (height, width)), random.random((height, width)) > 0.5):
        found = sums_over(plane, tall, wide)
        assert found.shape == (height - tall + 1, width - wide + 1)
        for y, x in np.ndindex(found.shape):
            assert found[y, x] == plane[y : y + tall, x : x + wide].sum()
