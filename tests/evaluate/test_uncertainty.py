"""The uncertainty of a volume, judged by its errors where they count."""

import numpy as np
import pytest

from ctloupe.evaluate.uncertainty import sample_errors
from ctloupe.foundation.errors import GeometryError, OptionError
from ctloupe.volume.volume import Volume


def honest(factor=1.0, size=40000, seed=0):
    random = np.random.default_rng(seed)
    deviation = random.uniform(10, 100, size)
    return random.normal(0, deviation), factor * deviation


def volumes(factor=1.0):
    error, deviation = (values.reshape(4, 100, 100) for values in honest(size=40000))
    place = (1.0, 0.1, 0.1)
    truth = Volume(np.zeros((4, 100, 100), np.float32), place)
    return Volume(error, place), Volume(factor * deviation, place), truth


def test_the_uncertainty_of_a_volume_is_judged_inside_the_mask():
    enhanced, deviation, truth = volumes(0.5)
    found = sample_errors(enhanced, deviation, truth, None, 4).judged().numbers
    assert found["factor"] == pytest.approx(2, rel=0.02) and found["coverage 80%"] < 0.6
    mask = np.zeros((4, 25, 25), bool)
    mask[1] = True
    spoilt = enhanced.data.copy()
    spoilt[[0, 2, 3]] = 1e6
    again = sample_errors(enhanced.with_data(spoilt), deviation, truth, mask, 4).judged().numbers
    assert again["factor"] == pytest.approx(2, rel=0.05)


def test_an_uncertainty_of_another_grid_or_none_at_all_is_refused():
    enhanced, deviation, truth = volumes()
    with pytest.raises(GeometryError, match="written with it"):
        sample_errors(enhanced, deviation.crop(slice(0, 2)), truth, None, 4)
    with pytest.raises(OptionError, match="no voxel"):
        sample_errors(enhanced, deviation.with_data(np.zeros((4, 100, 100))), truth, None, 4)


def test_factors_by_tissue_fitted_on_one_volume_make_another_honest():
    truth = volumes()[2]
    labels = truth.with_data((np.arange(40000) % 2).reshape(4, 100, 100))
    spoil = np.where(labels.data == 0, 0.4, 2.5)

    def sampled(seed):
        error, own = (values.reshape(4, 100, 100) for values in honest(size=40000, seed=seed))
        return sample_errors(truth.with_data(error), truth.with_data(own * spoil), truth, None, 4, labels)

    factors = sampled(1).judged().factors
    assert factors == pytest.approx({0: 2.5, 1: 0.4}, rel=0.05)
    before, after = sampled(2).judged(), sampled(2).recalibrated(factors).judged()
    assert after.numbers["calibration error"] < 0.01 < before.numbers["calibration error"]
    assert after.numbers["coverage 80%"] == pytest.approx(0.8, abs=0.01)
    assert after.plain()["factors"]["0"] == pytest.approx(1, rel=0.05)
