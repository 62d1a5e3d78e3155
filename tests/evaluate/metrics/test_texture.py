"""The look of a volume: what is drawn, from where."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctloupe.evaluate.metrics.texture import WINDOW, Texture, detailed_slices

SPECTRUM, WASSERSTEIN = "spectrum distance to µCT (dB)", "sliced Wasserstein to µCT"


def plane(seed, side=256, sigma=1.0):
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), sigma)
    return np.clip(0.3 * smooth / smooth.std(), -1, 1)


def look(planes, inside=None, seed=0):
    made = Texture(seed)
    for one in planes:
        made.add(one, inside)
    return made


def test_one_texture_is_near_itself_and_far_from_a_coarser_one():
    one, same = look([plane(k) for k in range(4)]), look([plane(k) for k in range(4, 8)])
    coarse = look([plane(k, sigma=3.0) for k in range(4)])
    for metric in (SPECTRUM, WASSERSTEIN):
        assert same.distances(one)[metric] < coarse.distances(one)[metric] / 5


def test_only_what_is_inside_is_drawn():
    inside = np.zeros((256, 256), bool)
    inside[:, :128] = True
    spoilt = [np.where(inside, plane(k), np.random.default_rng(k).choice([-1.0, 1.0], (256, 256))) for k in range(4)]
    clean, half = look([plane(k) for k in range(4, 8)]), look(spoilt, inside)
    found = half.distances(clean)
    assert found[SPECTRUM] < 1 and found[WASSERSTEIN] < 0.1


def test_a_large_slice_is_looked_at_through_a_window_on_the_mask():
    side = 2 * WINDOW + 100
    inside = np.zeros((side, side), bool)
    inside[700:1000, 100:500] = True
    large = np.where(inside, plane(1, side), 0)
    found = look([large] * 3, inside).distances(look([plane(k) for k in range(4, 8)]))
    assert found[SPECTRUM] < 1 and found[WASSERSTEIN] < 0.1


def test_where_nothing_fits_there_is_no_number():
    narrow = np.zeros((256, 256), bool)
    narrow[:, ::20] = True
    found = look([plane(0)], narrow).distances(look([plane(1)]))
    assert np.isnan(found[SPECTRUM]) and np.isnan(found[WASSERSTEIN]) and np.isfinite(found["m-HuM (I2)"])


@pytest.mark.parametrize("count", [1, 3, 16, 200])
def test_at_most_sixteen_slices_are_looked_at_closely_and_the_outermost_are_among_them(count):
    chosen = detailed_slices(np.arange(count))
    assert len(chosen) == min(16, count) and {0, count - 1} <= chosen
