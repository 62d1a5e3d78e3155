"""A volume is gone through in slabs of whole slices, each slice once."""

import numpy as np
import pytest

from ctloupe.volume.slabs import extremes_of, slabs_of

VALUES = np.arange(7 * 3 * 4, dtype=np.int16).reshape(7, 3, 4)


@pytest.mark.parametrize(("size", "depths"), [(1, [1] * 7), (3 * 24, [3, 3, 1]), (10**6, [7])])
def test_slabs_are_as_deep_as_the_size_allows_and_a_slice_at_least(monkeypatch, size, depths):
    monkeypatch.setattr("ctloupe.volume.slabs.SLAB_BYTES", size)
    found = list(slabs_of(VALUES))
    assert [len(slab) for _, slab in found] == depths
    assert [start for start, _ in found] == np.cumsum([0, *depths[:-1]]).tolist()
    np.testing.assert_array_equal(np.concatenate([slab for _, slab in found]), VALUES)


def test_slabs_are_contiguous_in_the_byte_order_of_the_machine_and_of_the_type_asked_for():
    ((_, slab),) = slabs_of(VALUES.astype(">i2")[:, :, ::-1])
    assert slab.flags.c_contiguous and slab.dtype.isnative and slab.dtype == np.int16
    ((_, slab),) = slabs_of(VALUES, np.dtype(np.float32))
    assert slab.dtype == np.float32
    np.testing.assert_array_equal(slab, VALUES)


def test_extremes_are_those_of_all_slices_and_only_finite_values_count(monkeypatch):
    monkeypatch.setattr("ctloupe.volume.slabs.SLAB_BYTES", 1)
    assert extremes_of(VALUES) == (0, 83)
    values = VALUES.astype(np.float32)
    values[0, 0, 0], values[6, 2, 3], values[3, 1, 1] = np.nan, np.inf, -5
    assert extremes_of(values) == (-5, 82)
    assert extremes_of(np.full((1, 2, 2), np.nan)) == (np.inf, -np.inf)
