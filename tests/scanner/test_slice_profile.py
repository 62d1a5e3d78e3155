"""Slice profiles: weights of fine slices, and the averages made with them."""

import numpy as np
import pytest

from ctloupe.scanner.slice_profile import SliceProfile, averaged, averaged_adjoint, slab_share


def test_shares_of_a_slab_add_up_to_its_thickness():
    for thickness in (0.4, 1.0, 2.7, 6.0):
        assert slab_share(np.arange(-10, 11), thickness / 2).sum() == pytest.approx(thickness)
    assert slab_share(0, 0.2) == pytest.approx(0.4)


def test_a_hard_slab_of_whole_slices_is_their_mean():
    planes = np.random.default_rng(0).normal(size=(12, 3, 2))
    weights = SliceProfile(2.0, softness=0.0).weights(12, 4, 0.5)
    assert np.allclose(averaged(planes, weights, np.float64), planes.reshape(3, 4, 3, 2).mean(1))


def test_a_soft_slab_reaches_into_its_neighbours_and_keeps_constants():
    weights = SliceProfile(0.8).weights(24, 8, 0.1)
    assert weights.shape == (3, 24)
    assert weights[1, 7] > 0 and weights[1, 16] > 0 and weights[1, 8] > weights[1, 7]
    assert (weights[1] == weights[1, ::-1]).all()
    assert np.allclose(averaged(np.full((24, 2, 2), -777.0), weights, np.float64), -777)


def test_the_weights_follow_the_curve():
    profile = SliceProfile(2.0)
    weights = profile.weights(60, 20, 0.1)[1]
    depth = (np.arange(60) - 29.5) * 0.1
    curve = profile.curve(depth)
    assert np.abs(weights / weights.max() - curve).max() < 0.02
    assert profile.curve(np.array([-1.0, 1.0])) == pytest.approx(0.5, abs=1e-3)


def test_slices_thinner_or_thicker_than_their_distance():
    assert np.count_nonzero(SliceProfile(0.3, 0.0).weights(30, 10, 0.1)[1]) == 4
    assert SliceProfile(2.0, 0.0).weights(30, 10, 0.1)[1].nonzero()[0].tolist() == list(range(5, 25))


def test_the_adjoint_of_the_average():
    random = np.random.default_rng(0)
    weights = SliceProfile(0.5).weights(15, 5, 0.1)
    x, y = random.normal(size=(15, 4, 3)), random.normal(size=(3, 4, 3))
    assert np.vdot(averaged(x, weights, np.float64), y) == pytest.approx(np.vdot(x, averaged_adjoint(y, weights)))
