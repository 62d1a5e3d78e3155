"""The crops a page shows are chosen by rule."""

import numpy as np
import pytest

from ctloupe.evaluate.report.crops import ranked_crops
from ctloupe.volume.volume import Volume

PLACE = (1.0, 0.5, 0.5)
FINE = (1.0, 0.25, 0.25)


def case(errors):
    """Scan and truth of zeros, and an enhanced volume whose squares of 16 scan voxels are off by `errors`."""
    off = np.asarray(errors, float)
    z, rows, columns = off.shape
    scan = Volume(np.zeros((z, rows * 16, columns * 16), np.int16), PLACE)
    enhanced = Volume(off.repeat(32, 1).repeat(32, 2), FINE)
    return scan, enhanced, Volume(np.zeros(enhanced.shape), FINE)


def test_best_median_and_worst_are_those_of_the_sorted_errors():
    errors = np.arange(1, 13).reshape(2, 2, 3)
    scan, enhanced, truth = case(errors)
    found = ranked_crops(enhanced, scan, truth, None, 2)
    assert [(one.rank, one.error) for one in found] == [("best", 1), ("median", 7), ("worst", 12)]
    worst = found[-1]
    assert (worst.z, worst.y, worst.x, worst.side) == (1, 16, 32, 16)
    assert worst.of(enhanced, 2).shape == (32, 32) and (worst.of(enhanced, 2) == 12).all()
    assert worst.of(scan, 1).shape == (16, 16)


def test_without_truth_the_error_is_that_of_block_means():
    scan, enhanced, _ = case([[[1, 2], [3, 40]]])
    wavy = enhanced.array().copy()
    wavy[..., ::2] += 100
    wavy[..., 1::2] -= 100
    found = ranked_crops(enhanced.with_data(wavy), scan, None, None, 2)
    assert [one.error for one in found] == pytest.approx([1, 3, 40])


def test_squares_outside_the_mask_do_not_count():
    scan, enhanced, truth = case([[[1, 2], [3, 4]]])
    mask = np.zeros(scan.shape, bool)
    mask[0, 16:] = True
    assert [one.error for one in ranked_crops(enhanced, scan, truth, mask, 2)] == [3, 4, 4]
    assert ranked_crops(enhanced, scan, truth, np.zeros(scan.shape, bool), 2) == []
