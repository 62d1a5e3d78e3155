"""Slices made whole by the shapes in them, and blocks of what that gives."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, label
from skimage.measure import block_reduce

from ctloupe.evaluate.cubes import CORE, Block, Cubes, squared_distances, whole_between_slices
from ctloupe.evaluate.slices import Setting
from ctloupe.volume.volume import Volume


def disk(centre, radius, side=60):
    y, x = np.ogrid[:side, :side]
    return np.hypot(y - 30, x - centre) <= radius


def test_between_two_disks_lies_the_one_half_way():
    planes = [disk(26, 10), disk(34, 10)]
    found = whole_between_slices(planes, np.array([0, 0.5, 1.0]), 0.1, 0.5)
    assert np.array_equal(found[0], planes[0]) and np.array_equal(found[2], planes[1])
    assert (planes[0] & planes[1] & ~found[1]).sum() == 0 and (found[1] & ~(planes[0] | planes[1])).sum() == 0
    assert np.argwhere(found[1]).mean(0) == pytest.approx([30, 30], abs=0.1)


def test_what_one_slice_holds_ends_half_way_to_the_next():
    planes = [np.zeros((60, 60), bool), disk(30, 8), np.zeros((60, 60), bool)]
    found = whole_between_slices(planes, np.linspace(0, 2, 41), 0.1, 0.5)
    assert found[:, 30, 30].sum() * 0.05 == pytest.approx(1, abs=0.1)


def test_a_cavity_is_filled():
    planes = [disk(30, 8), disk(30, 8) & ~disk(30, 2), disk(30, 8)]
    assert whole_between_slices(planes, np.arange(3.0), 0.1, 0.5)[1, 30, 30]


@pytest.mark.parametrize("angle", [0, 30, 60, 75])
def test_a_tube_that_two_slices_cross_is_never_broken(angle):
    # Radius 4 pixels, slices 4 pixels apart: its cross-sections are ellipses that move by 4·tan(angle).
    move, y, x = 4 * np.tan(np.deg2rad(angle)), *np.indices((40, 160))
    planes = [
        np.hypot(y - 20, (x - 20 - move * z) * np.cos(np.deg2rad(angle))) <= 4 for z in range(int(100 / (move + 8)))
    ]
    found = whole_between_slices(planes, np.arange(0, len(planes) - 0.99, 0.25), 0.1, 0.4)
    assert label(found, np.ones((3, 3, 3)))[1] == 1


def test_blocks_count_every_cube_once():
    shape = (CORE[0] + 5, CORE[1] + 7, 20)
    setting = Setting.of(shape, Volume(np.zeros(shape, np.int16), (0.1, 0.1, 0.1)), None, known=frozenset())
    cubes = Cubes(setting, 0.1, 0.5)
    for z in (0, shape[0] - 1):
        cubes.add(z, np.ones(shape[1:], bool))
    assert cubes.shape == shape and len(list(cubes.blocks())) == 4
    assert next(iter(cubes.blocks())) == Block.of((0, 0, 0), shape)
    times = np.zeros(shape, int)
    for block in cubes.blocks():
        inner = np.argwhere(np.ones([one.stop - one.start for one in block.outer], bool))
        times[block.outer] += block.counts(inner).reshape([one.stop - one.start for one in block.outer])
    assert (times == 1).all()


def test_squares_are_merged_to_the_finest_that_is_asked_for():
    shape = (3, 8, 8)
    setting = Setting.of(shape, Volume(np.zeros(shape, np.int16), (0.3, 0.1, 0.1)), None, known=frozenset())
    cubes = Cubes(setting, 0.21, 0.5)
    for z in range(3):
        flags = np.zeros((8, 8), bool)
        flags[:, :3] = True
        cubes.add(z, flags)
    assert cubes.edge == pytest.approx(0.2) and cubes.shape == (4, 4, 4)
    (block,) = cubes.blocks()
    assert np.array_equal(cubes.whole(block), np.broadcast_to([True, True, False, False], (4, 4, 4)))


@pytest.mark.parametrize("shape", [(40, 50), (9, 30, 20), (3, 4)])
@pytest.mark.parametrize("steps", [1, 3, 6])
def test_near_distances_are_those_of_scipy(shape, steps):
    flags = np.random.default_rng(steps).random(shape) > 0.02
    flags.ravel()[0] = False
    whole = np.rint(distance_transform_edt(flags) ** 2)
    assert np.array_equal(squared_distances(flags, steps), whole.clip(max=(steps + 1) ** 2))


def test_where_nothing_is_outside_all_is_far():
    assert (squared_distances(np.ones((5, 6), bool), 2) == 9).all()


@pytest.mark.parametrize("side", [1, 2, 3])
def test_squares_are_those_of_scikit_image(side):
    flags = np.random.default_rng(side).random((17, 23)) > 0.5
    shape = (2, *flags.shape)
    setting = Setting.of(shape, Volume(np.zeros(shape, np.int16), (0.1, 0.1, 0.1)), None, known=frozenset())
    cubes = Cubes(setting, 0.1 * side, 0.5)
    for z in range(2):
        cubes.add(z, flags)
    wanted = block_reduce(flags, side, np.mean) >= 0.5
    (block,) = cubes.blocks()
    assert np.array_equal(cubes.whole(block)[0], wanted)
