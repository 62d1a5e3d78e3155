"""Two reconstructions of one acquisition: one answer is right, and a blur wins nothing."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctloupe.evaluate.protocols.kernel_pair import compare_kernel_pair
from ctloupe.foundation.errors import GeometryError, OptionError
from ctloupe.phantom.clinical import clinical_scan
from ctloupe.volume.volume import Volume

EQUAL, SHARE = "kernel pair, difference at equal resolution (HU)", "kernel pair, difference over bicubic's"
DETAIL, PLAIN = "kernel pair, agreed detail (mm)", "kernel pair, plain difference (HU)"
CONTRAST, CORRELATION = "kernel pair, contrast (HU)", "kernel pair, correlation"


NOISE = {"smooth": 9.7, "sharp": 36.2}


@pytest.fixture(scope="module")
def body():
    """Both scans of a body of blobs, and its truth on their slices."""
    field = gaussian_filter(np.random.default_rng(3).normal(size=(2, 128, 128)), (0, 4, 4))
    truth = Volume((-700 + 200 * field / field.std()).astype(np.float32), (0.6, 0.075, 0.075))
    scans = [clinical_scan(truth, 8, 1, kernel=name, noise_hu=noise, seed=5) for name, noise in NOISE.items()]
    return (scans[0], scans[1]), truth


@pytest.fixture(scope="module")
def rows(body):
    scans, truth = body
    real = np.asarray(truth.data)

    def pair(one, other):
        return truth.with_data(one.astype(np.float32)), truth.with_data(other.astype(np.float32))

    def blurred(image, sigma):
        return gaussian_filter(image, (0, sigma, sigma))

    # Two answers that differ in detail, the same behind a blur, and one blurred more than the other.
    random = np.random.default_rng(0)
    one, other = (real + blurred(random.normal(0, 800, real.shape), 3) for _ in range(2))
    made = {
        "truth": pair(real, real),
        "two answers": pair(one, other),
        "two answers, blurred": pair(blurred(one, 4), blurred(other, 4)),
        "blurred unlike": pair(real, blurred(real, 6)),
        "flat": pair(np.full_like(real, -700), np.full_like(real, -700)),
    }
    return compare_kernel_pair(scans, made).rows


def test_one_answer_has_no_difference(rows):
    assert rows["truth"][EQUAL] == pytest.approx(0, abs=1e-3)
    assert rows["truth"][PLAIN] == pytest.approx(0, abs=1e-3)
    assert rows["truth"][CORRELATION] == pytest.approx(1)
    assert rows["truth"][DETAIL] <= min(row[DETAIL] for row in rows.values())


def test_a_blur_lowers_the_plain_difference_and_the_contrast_and_wins_nothing(rows):
    sharp, soft = rows["two answers"], rows["two answers, blurred"]
    assert soft[PLAIN] < 0.8 * sharp[PLAIN] and soft[CONTRAST] < 0.8 * sharp[CONTRAST]
    assert soft[EQUAL] == pytest.approx(sharp[EQUAL], rel=0.05)


def test_answers_blurred_unlike_are_not_one(rows):
    assert rows["blurred unlike"][EQUAL] > 10 * max(1.0, rows["truth"][EQUAL])


def test_showing_nothing_is_the_worst_answer_and_not_the_best(rows):
    assert rows["flat"][PLAIN] == 0 and rows["flat"][CONTRAST] == 0
    assert rows["flat"][EQUAL] == max(row[EQUAL] for row in rows.values())


def test_differences_are_related_to_bicubics(rows):
    for row in rows.values():
        assert row[SHARE] == pytest.approx(row[EQUAL] / rows["bicubic"][EQUAL])


def test_plain_numbers_are_those_of_numpy(body, rows):
    scans, truth = body
    mask = np.zeros(scans[0].shape, bool)
    mask[:, 4:12, 2:14] = True
    random = np.random.default_rng(1)
    one, other = (np.asarray(truth.data) + random.normal(0, 50, truth.shape) for _ in range(2))
    found = compare_kernel_pair(scans, {"row": (truth.with_data(one), truth.with_data(other))}, mask).rows["row"]
    fine = mask.repeat(8, 1).repeat(8, 2)
    a, b = one[fine], other[fine]
    assert found[PLAIN] == pytest.approx(np.sqrt(np.mean((a - b) ** 2)), rel=1e-4)
    assert found[CONTRAST] == pytest.approx((a.std() + b.std()) / 2, rel=1e-4)
    assert found[CORRELATION] == pytest.approx(np.corrcoef(a, b)[0, 1], rel=1e-4)


def test_the_order_of_the_scans_does_not_matter(body, rows):
    scans, truth = body
    pair = truth, truth.with_data(gaussian_filter(np.asarray(truth.data), (0, 6, 6)))
    there = compare_kernel_pair(scans, {"row": pair}).rows
    back = compare_kernel_pair(scans[::-1], {"row": pair[::-1]}).rows
    for name in there:
        assert there[name][EQUAL] == pytest.approx(back[name][EQUAL])


def test_both_kernels_of_a_phantom_filter_the_same_noise(body):
    """As two reconstructions of one sinogram: where both let noise through, it is the same up to a factor."""
    nothing = Volume(np.zeros((1, 256, 256), np.float32), (0.6, 0.075, 0.075))
    smooth, sharp = (
        np.fft.fft2(np.asarray(clinical_scan(nothing, 8, 1, kernel=kernel, noise_hu=500, seed=5).data[0], float))
        for kernel in NOISE
    )
    other = np.fft.fft2(np.asarray(clinical_scan(nothing, 8, 1, kernel="sharp", noise_hu=500, seed=6).data[0], float))
    low = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32)[None]) < 0.25

    def alike(one, two):
        both = np.sum((one * two.conj())[low])
        return abs(both) / np.sqrt(np.sum(np.abs(one[low]) ** 2) * np.sum(np.abs(two[low]) ** 2))

    assert alike(smooth, sharp) > 0.85 and alike(smooth, other) < 0.3


def test_scans_of_two_grids_are_refused(body):
    scans, truth = body
    smaller = scans[1].crop(slice(None), slice(0, 8), slice(None))
    with pytest.raises(GeometryError, match="`other_input`"):
        compare_kernel_pair((scans[0], smaller), {"row": (truth, truth)})
    with pytest.raises(OptionError, match="nothing to compare"):
        compare_kernel_pair(scans, {})
