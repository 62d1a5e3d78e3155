"""Can an image be told from µCT? Half of the answers are right where it cannot."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import binomtest

from ctloupe.evaluate.metrics.told import Patches, Regression, patches_of, right_answers, wilson


def foam(seed, slices=2, size=256):
    noise = np.random.default_rng(seed).normal(size=(slices, size, size))
    smooth = gaussian_filter(noise, (0, 1.5, 1.5))
    return (0.3 * smooth / smooth.std() + 0.03 * noise).clip(-1, 1).astype(np.float32)


def patches(volume):
    found = Patches()
    for plane in volume:
        found.add(plane)
    return found


@pytest.fixture(scope="module")
def micro():
    return patches(foam(0))


def share(volume, micro):
    right, asked = right_answers(patches(volume), micro)
    return right / asked


def test_another_body_of_the_same_texture_is_told_no_better_than_by_guessing(micro):
    right, asked = right_answers(patches(foam(1)), micro)
    low, high = wilson(right, asked)
    assert low < 0.5 < high


def test_equal_sets_are_a_tie(micro):
    right, asked = right_answers(micro, micro)
    assert right == asked / 2


def test_two_measurements_find_the_same(micro):
    assert right_answers(patches(foam(1)), micro) == right_answers(patches(foam(1)), micro)


@pytest.mark.parametrize(
    ("badness", "spoil"),
    [
        ("blurred", lambda image: gaussian_filter(image, (0, 0.6, 0.6))),
        ("noisy", lambda image: image + np.random.default_rng(2).normal(0, 0.03, image.shape)),
        ("meshed", lambda image: image + np.tile([[0.03, -0.03], [-0.03, 0.03]], (128, 128))),
        ("brighter", lambda image: image + 0.15),
    ],
)
def test_bad_images_are_told(micro, badness, spoil):
    assert share(spoil(foam(1)), micro) > 0.8


def test_training_and_test_patches_never_share_a_row_of_the_volume():
    """A ramp along the rows tells each patch's place: the halves must lie apart in it."""
    ramp = np.broadcast_to(np.linspace(-1, 1, 256)[:, None], (256, 256))
    upper, lower = patches([ramp, ramp]).halves()
    assert len(upper) == len(lower) == 2 * 32
    middle = 3
    assert upper[:, middle].max() < lower[:, middle].min()


def test_patches_lie_inside_the_mask_and_do_not_overlap():
    inside = np.zeros((128, 160), bool)
    inside[32:, 64:] = True
    numbers = np.arange(128 * 160).reshape(128, 160)
    found, rows = patches_of(numbers, inside)
    assert len(found) == 9 and set(rows) == {1, 2, 3}
    assert len(np.unique(found)) == found.size and inside.ravel()[found].all()


def test_too_few_patches_give_no_answer(micro):
    assert right_answers(patches(foam(1, slices=1, size=96)), micro) == (0, 0)


def test_the_regression_is_the_one_that_minimises_its_penalised_likelihood():
    """By its slope: at the best weights no small step lowers the loss."""
    random = np.random.default_rng(0)
    one, other = random.normal(0.5, 1, (200, 3)), random.normal(0, 1, (200, 3))
    score = Regression(one, other).score
    assert np.mean(score(one) > 0) > 0.6 and np.mean(score(other) < 0) > 0.6
    # Without a penalty on the intercept, predicted and true shares agree.
    likely = 1 / (1 + np.exp(-np.concatenate([score(one), score(other)])))
    assert likely.mean() == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize(("right", "asked"), [(50, 100), (997, 1000), (3, 7)])
def test_the_interval_is_that_of_scipy(right, asked):
    expected = binomtest(right, asked).proportion_ci(method="wilson")
    assert wilson(right, asked) == pytest.approx((expected.low, expected.high), abs=1e-6)
