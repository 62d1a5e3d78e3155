"""The specimen mask of a µCT."""

import numpy as np
import pytest

from ctloupe.phantom.phantom import PhantomConfig, make_lung
from ctloupe.prepare.specimen import specimen_mask, threshold_box
from ctloupe.volume.errors import IntensityError
from ctloupe.volume.volume import Volume


def radius(size):
    y, x = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    return np.hypot(y, x)


def test_plastic_cylinder_and_air_are_left_out_and_the_specimen_is_kept():
    mask = specimen_mask(make_lung((16, 256, 256), 3, PhantomConfig(cylinder=True)).micro)
    from_centre = radius(256)
    assert mask[:, from_centre < 0.6].mean() > 0.99
    assert mask[:, from_centre > 0.9].mean() < 0.005


@pytest.mark.parametrize(("seed", "size"), [(1, 320), (2, 320), (12, 640)])
def test_a_view_that_lies_wholly_inside_the_specimen_is_all_mask(seed, size):
    assert specimen_mask(make_lung((16, size, size), seed).micro).mean() > 0.99


def test_a_porous_ball_in_air_is_found_with_its_pores():
    random = np.random.default_rng(0)
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in (24, 96, 96)], indexing="ij")
    ball = z**2 + y**2 + x**2 < 0.5
    pores = ((20 * y).astype(int) % 4 == 0) & ((20 * x).astype(int) % 4 == 0) & (z**2 + y**2 + x**2 < 0.3)
    values = np.where(ball & ~pores, 9000, 2000) + random.normal(0, 150, ball.shape)
    mask = specimen_mask(Volume(values.astype(np.int16), (0.05, 0.05, 0.05)))
    assert mask[ball].mean() > 0.97
    assert mask[pores].mean() > 0.97
    assert mask[z**2 + y**2 + x**2 > 0.7].mean() < 0.01


def test_nothing_but_air_is_an_error_that_says_what_to_do():
    values = np.random.default_rng(0).normal(2000, 100, (8, 64, 64)).astype(np.int16)
    with pytest.raises(IntensityError, match="--micro-mask none"):
        specimen_mask(Volume(values, (0.05, 0.05, 0.05)))


def test_the_box_holds_what_is_bright():
    values = np.zeros((6, 10, 12), np.int16)
    values[1:4, 2:5, 7:11] = 900
    assert threshold_box(Volume(values, (1, 1, 1))) == (slice(1, 4), slice(2, 5), slice(7, 11))
    assert threshold_box(Volume(values, (1, 1, 1)), 500) == (slice(1, 4), slice(2, 5), slice(7, 11))
    with pytest.raises(IntensityError):
        threshold_box(Volume(values, (1, 1, 1)), 5000)
    with pytest.raises(IntensityError, match="constant"):
        threshold_box(Volume(np.zeros((2, 3, 4)), (1, 1, 1)))
