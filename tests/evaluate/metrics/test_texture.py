"""The texture of a volume: what is drawn, from where."""

import numpy as np
from scipy.ndimage import gaussian_filter

from ctloupe.evaluate.metrics.texture import WINDOW, Texture


def plane(seed, side=256, sigma=1.0):
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), sigma)
    return np.clip(0.3 * smooth / smooth.std(), -1, 1)


def texture(planes, inside=None, seed=0):
    made = Texture(seed)
    for one in planes:
        made.add(one, inside)
    return made


def test_one_texture_is_near_itself_and_far_from_a_coarser_one():
    one, same = texture([plane(k) for k in range(4)]), texture([plane(k) for k in range(4, 8)])
    coarse = texture([plane(k, sigma=3.0) for k in range(4)])
    assert same.spectrum_distance(one) < coarse.spectrum_distance(one) / 5
    assert same.wasserstein(one) < coarse.wasserstein(one) / 5


def test_only_what_is_inside_is_drawn():
    inside = np.zeros((256, 256), bool)
    inside[:, :128] = True
    spoilt = [np.where(inside, plane(k), np.random.default_rng(k).choice([-1.0, 1.0], (256, 256))) for k in range(4)]
    clean, half = texture([plane(k) for k in range(4, 8)]), texture(spoilt, inside)
    assert half.spectrum_distance(clean) < 1 and half.wasserstein(clean) < 0.1


def test_a_large_slice_is_looked_at_through_a_window_on_the_mask():
    side = 2 * WINDOW + 100
    inside = np.zeros((side, side), bool)
    inside[700:1000, 100:500] = True
    large = np.where(inside, plane(1, side), 0)
    found, clean = texture([large] * 3, inside), texture([plane(k) for k in range(4, 8)])
    assert found.spectrum_distance(clean) < 1 and found.wasserstein(clean) < 0.1


def test_where_nothing_fits_there_is_no_number():
    narrow = np.zeros((256, 256), bool)
    narrow[:, ::20] = True
    found, other = texture([plane(0)], narrow), texture([plane(1)])
    assert np.isnan(found.spectrum_distance(other)) and np.isnan(found.wasserstein(other))
    assert np.isfinite(found.hu_distance(other))
