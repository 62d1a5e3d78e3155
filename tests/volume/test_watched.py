"""A volume that tells how many slices were read."""

import numpy as np

from ctloupe.volume.volume import Volume
from ctloupe.volume.watched import watched


def test_every_slice_that_is_read_is_told():
    values = np.arange(60, dtype=np.int16).reshape(5, 3, 4)
    told = []
    data = watched(Volume(values, (1.0, 1.0, 1.0)), told.append).data
    np.testing.assert_array_equal(data[2], values[2])
    np.testing.assert_array_equal(data[1:4, :2], values[1:4, :2])
    assert told == [1, 3]
