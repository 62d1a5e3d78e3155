"""A volume that is read on demand is cropped on demand, and not gone through twice."""

import numpy as np

from ctloupe.volume.volume import LazyArray, Volume


def test_a_lazily_read_volume_is_cropped_without_reading_it():
    seen = []

    def read(block):
        seen.append(block)
        return np.arange(4 * 5 * 6).reshape(4, 5, 6)[block]

    whole = Volume(LazyArray((4, 5, 6), np.int64, read, "test"), (1.0, 1.0, 1.0))
    part = whole.crop(slice(1, 3), slice(2, 5), slice(0, 4)).crop(slice(1, 2), slice(0, 2))
    assert not seen and part.shape == (1, 2, 4)
    assert (whole.data.size, part.data.size, part.data.ndim) == (120, 8, 3)
    assert np.array_equal(part.array(), np.arange(120).reshape(4, 5, 6)[2:3, 2:4, 0:4])
    assert seen == [(slice(2, 3), slice(2, 4), slice(0, 4))]
    assert np.allclose(part.origin, (0, 2, 2))


def test_extremes_are_looked_for_once():
    seen = []

    def read(block):
        seen.append(block)
        return np.arange(4 * 5 * 6).reshape(4, 5, 6)[block]

    whole = Volume(LazyArray((4, 5, 6), np.int64, read, "test"), (1.0, 1.0, 1.0))
    assert whole.extremes == (0, 119)
    read_once = len(seen)
    assert whole.extremes == (0, 119) and len(seen) == read_once
    assert whole.crop(slice(1, 2)).extremes == (30, 59)
