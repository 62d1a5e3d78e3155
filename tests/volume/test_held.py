"""Layers of chunks that are kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctloupe.volume.held import held
from ctloupe.volume.volume import LazyArray, Volume

SHAPE = (11, 5, 7)
VALUES = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)


def stored(layers, read=None):
    """A volume in chunks of so many slices; the slices that are decoded are noted in `read`."""

    def decode(block):
        if read is not None:
            read.extend(range(block[0].start, block[0].stop))
        return VALUES[block].copy()

    return Volume(LazyArray(SHAPE, np.int16, decode, "scan", layers), (1.0, 1.0, 1.0))


ends = st.tuples(st.integers(0, 11), st.integers(0, 11)).map(sorted)


@settings(max_examples=60, deadline=None)
@given(layers=st.integers(1, 12), most=st.integers(0, 2 * VALUES.nbytes), z=ends, x=st.integers(0, 6))
def test_what_is_read_does_not_depend_on_what_is_kept(layers, most, z, x):
    data = held(stored(layers), most).data
    for _ in range(2):
        np.testing.assert_array_equal(data[z[0] : z[1], 1:4, x], VALUES[z[0] : z[1], 1:4, x])
    np.testing.assert_array_equal(np.asarray(data), VALUES)


def test_a_volume_that_fits_is_decoded_once_however_often_it_is_read():
    read = []
    data = held(stored(4, read), VALUES.nbytes).data
    for z in (10, 0, 5, *range(11)):
        np.testing.assert_array_equal(data[z], VALUES[z])
    assert sorted(read) == list(range(11))


def test_of_a_larger_one_each_chunk_is_decoded_once_when_slices_are_read_in_order():
    read = []
    data = held(stored(2, read), 4 * VALUES[0].nbytes).data
    for z in range(11):
        np.testing.assert_array_equal(data[z], VALUES[z])
        np.testing.assert_array_equal(data[max(0, z - 1)], VALUES[max(0, z - 1)])
    assert sorted(read) == list(range(11))


def test_where_two_layers_do_not_fit_slices_are_read_as_they_are_asked_for():
    read = []
    data = held(stored(4, read), 7 * VALUES[0].nbytes).data
    np.testing.assert_array_equal(data[3], VALUES[3])
    assert read == [3]


def test_what_is_kept_cannot_be_written_into():
    plane = held(stored(4), VALUES.nbytes).data[3]
    with pytest.raises(ValueError, match="read-only"):
        plane[0] = 0


def test_what_costs_nothing_to_decode_is_not_kept():
    in_memory = Volume(VALUES, (1.0, 1.0, 1.0))
    mapped = stored(None)
    assert held(in_memory, VALUES.nbytes) is in_memory
    assert held(mapped, VALUES.nbytes) is mapped
