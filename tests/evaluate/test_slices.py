"""What metrics look at: grids, masks, and what is computed once."""

import numpy as np
import pytest

from ctloupe.evaluate.slices import ImageSlice, Reference, Setting, counted_squares, detailed_slices
from ctloupe.foundation.errors import OptionError
from ctloupe.volume.volume import Volume

FINE = Volume(np.zeros((3, 12, 16), np.int16), (1.0, 0.25, 0.25), units="HU")


def setting(mask=None):
    return Setting.of((3, 6, 8), FINE, mask, known=frozenset({"truth"}))


def masked():
    mask = np.zeros((3, 6, 8), bool)
    mask[1, 2:4, 3:7] = True
    return mask


def test_without_a_mask_everything_is_compared():
    where = setting()
    assert where.scale == 2 and where.voxels == 3 * 12 * 16 and list(where.shown) == [0, 1, 2]
    assert where.volume_cm3 == pytest.approx(3 * 12 * 16 * 0.25**2 / 1000)
    assert Reference(where, 0, np.zeros((6, 8), np.float32)).inside is None


def test_a_mask_decides_slices_rectangle_and_fine_pixels():
    where = setting(masked())
    assert list(where.shown) == [1] and where.detailed == {1} and where.voxels == 8 * 4
    inside = Reference(where, 1, np.zeros((6, 8), np.float32)).inside
    assert inside.sum() == 32 and inside[4:8, 6:14].all()
    assert np.empty((12, 16))[where.box].shape == (4, 8)
    with pytest.raises(OptionError, match="mask is empty"):
        setting(np.zeros((3, 6, 8), bool))


def test_outside_the_mask_the_rectangle_holds_the_mean_inside():
    mask = masked()
    mask[1, 2, 3] = False
    truth = np.random.default_rng(0).normal(size=(12, 16)).astype(np.float32)
    reference = Reference(setting(mask), 1, np.zeros((6, 8), np.float32), truth)
    assert reference.boxed_truth[:2, :2] == pytest.approx(truth[reference.inside].mean(), abs=1e-6)
    seen = ImageSlice(truth + 1, reference, 0.25)
    assert seen.difference == pytest.approx(np.ones(28)) and seen.boxed - reference.boxed_truth == pytest.approx(1)


def test_what_is_asked_for_twice_is_computed_once():
    asked = []

    def sizes(reference, factor):
        asked.append(factor)
        return factor * reference.scan.size

    reference = Reference(setting(), 0, np.zeros((6, 8), np.float32))
    assert [reference.once(sizes, 1), reference.once(sizes, 1), reference.once(sizes, 2)] == [48, 48, 96]
    assert asked == [1, 2]


def test_what_is_not_known_is_an_error_of_the_metric_that_asks():
    reference = Reference(setting(), 0, np.zeros((6, 8), np.float32))
    for asked in ("truth", "labels"):
        with pytest.raises(ValueError, match="has to say that it needs it"):
            getattr(reference, asked)


def test_squares_are_counted_from_every_corner():
    flags = np.random.default_rng(0).random((9, 11)) < 0.5
    found = counted_squares(flags, 4)
    assert found.shape == (6, 8)
    assert found[2, 5] == flags[2:6, 5:9].sum() and found[0, 0] == flags[:4, :4].sum()


@pytest.mark.parametrize("count", [1, 3, 16, 200])
def test_at_most_sixteen_slices_are_looked_at_closely_and_the_outermost_are_among_them(count):
    chosen = detailed_slices(np.arange(count))
    assert len(chosen) == min(16, count) and {0, count - 1} <= chosen
