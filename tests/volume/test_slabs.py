"""A volume is gone through in slabs of whole slices, each slice once."""

import numpy as np
import pytest

from ctloupe.volume.slabs import slabs_of

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
