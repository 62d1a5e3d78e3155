"""Agreement is that of the published worked examples."""

import numpy as np
import pytest

from ctloupe.rate.agreement import intraclass_correlation, krippendorff_alpha

NONE = np.nan
# Krippendorff 2011, section C: four observers, twelve units.
OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
        [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
    ]
)
# Shrout and Fleiss 1979, Table 2: six targets, four judges.
JUDGES = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float).T


@pytest.mark.parametrize(("scale", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_the_published_one(scale, published):
    assert krippendorff_alpha(OBSERVERS, scale) == pytest.approx(published, abs=5e-4)


def test_icc_is_the_published_one():
    assert intraclass_correlation(JUDGES) == pytest.approx(0.29, abs=0.005)


def test_perfect_agreement_is_one_and_chance_is_near_zero():
    marks = np.tile(np.arange(10.0), (3, 1))
    assert krippendorff_alpha(marks) == 1 and intraclass_correlation(marks) == 1
    random = np.random.default_rng(0).integers(1, 6, (2, 4000)).astype(float)
    assert abs(krippendorff_alpha(random)) < 0.05 and abs(intraclass_correlation(random)) < 0.05


def test_a_rater_who_is_stricter_by_a_constant_does_not_agree_fully():
    marks = np.array([[1.0, 2, 3, 4, 5], [2, 3, 4, 5, 6]])
    assert 0.5 < intraclass_correlation(marks) < 1


def test_too_little_to_say_is_nan():
    assert np.isnan(krippendorff_alpha(np.array([[1.0, NONE], [NONE, 2.0]])))
    assert np.isnan(krippendorff_alpha(np.ones((2, 3))))
    assert np.isnan(intraclass_correlation(np.array([[1.0, 2.0]])))
