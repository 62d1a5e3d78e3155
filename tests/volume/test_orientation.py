"""Turning a volume exchanges and reverses axes, and moves no voxel in space."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ctloupe.volume.geometry import as_direction
from ctloupe.volume.orientation import turned_onto
from ctloupe.volume.volume import Volume

VALUES = np.arange(2 * 3 * 5, dtype=np.int16).reshape(2, 3, 5)


def places(volume):
    """Value by physical point."""
    found = {}
    for index in itertools.product(*map(range, volume.shape)):
        found[tuple(np.round(volume.physical(index), 6))] = int(volume.data[index])
    return found


ORDERS = [
    np.array(matrix, float)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
    for matrix in [np.eye(3)[list(order)] * signs]
]


@pytest.mark.parametrize("turn", ORDERS, ids=str)
def test_every_voxel_keeps_its_value_and_its_place(turn):
    oblique = Rotation.from_euler("zyx", [12, -7, 20], degrees=True).as_matrix()
    volume = Volume(VALUES, (2.5, 0.7, 0.6), (-10.0, 20.0, 30.0), as_direction(oblique))
    wanted = as_direction(oblique @ turn)
    turned = turned_onto(volume, wanted)
    np.testing.assert_allclose(turned.direction, wanted, atol=1e-12)
    assert places(turned) == places(volume)


@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(-20, 20))
def test_a_volume_that_is_only_tilted_is_left_as_it_is(x, y, z):
    tilted = as_direction(Rotation.from_euler("xyz", [x, y, z], degrees=True).as_matrix())
    volume = Volume(VALUES, (1.0, 1.0, 1.0))
    assert turned_onto(volume, tilted) is volume
