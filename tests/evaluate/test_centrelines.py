"""Centrelines against lines whose length, width and breaks are known."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, gaussian_filter, label
from skimage.morphology import skeletonize

from ctloupe.evaluate.centrelines import Centreline, count_breaks, numbered_runs, step_lengths


def digital_line(direction, voxels=400):
    """Voxels that a straight line goes through, and its length."""
    direction = np.array(direction, float) / np.abs(direction).max()
    return np.rint(np.arange(voxels + 1)[:, None] * direction).astype(int), voxels * np.linalg.norm(direction)


def test_lengths_of_lines_in_all_directions_have_no_bias():
    random = np.random.default_rng(0)
    ratio = []
    for direction in random.normal(size=(50, 3)):
        points, length = digital_line(direction)
        ratio.append(step_lengths(points).sum() / length)
    assert np.mean(ratio) == pytest.approx(1, abs=0.01) and np.max(np.abs(np.subtract(ratio, 1))) < 0.12


def test_the_corner_where_lines_meet_does_not_count_twice():
    # Three touching voxels make a triangle: two steps, not three.
    corner = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert step_lengths(corner).sum() == pytest.approx(2 * 0.9016)
    assert step_lengths(corner[:1]).sum() == 0 and len(step_lengths(corner[:0])) == 0


def test_a_tube_has_its_width_and_length():
    z, y, x = np.indices((40, 21, 21))
    line = Centreline.of((np.hypot(y - 10, x - 10) <= 4.2) & (z >= 0), 0.5)
    middle = line.points[:, 0] == 40
    assert line.widths[middle] == pytest.approx(2 * 4.2 * 0.5, abs=0.6)
    # Thinning takes about a radius off at either end.
    assert line.lengths.sum() == pytest.approx(0.9016 * (39 - 2 * 4.2) * 0.5, abs=2)
    assert np.array_equal(line.cubes, line.points // 2)
    assert np.array_equal(line.only(middle).points, line.points[middle])


def test_widths_of_tubes_in_all_directions_are_right_on_average():
    random, found = np.random.default_rng(0), []
    at = np.moveaxis(np.indices((20, 20, 20)), 0, -1) - 9.7
    for axis in random.normal(size=(12, 3)):
        axis /= np.linalg.norm(axis)
        line = Centreline.of(np.linalg.norm(at - (at @ axis)[..., None] * axis, axis=-1) <= 3.2, 1.0)
        found.append(np.median(line.widths))
    assert np.mean(found) == pytest.approx(6.4, abs=0.5)


@pytest.mark.parametrize("direction", [(1, 0, 0), (0, 1, 0), (0, 1, 1), (1, 1, 1), (1, 0.4, 0.2)])
@pytest.mark.parametrize("radius", [2.2, 3.3])
@pytest.mark.parametrize("middle", [12, 12.5])
def test_no_tube_is_thinned_to_nothing(direction, radius, middle):
    axis = np.array(direction) / np.linalg.norm(direction)
    at = np.moveaxis(np.indices((26, 26, 26)), 0, -1) - middle
    along = np.clip(at @ axis, -9, 9)
    line = Centreline.of(np.linalg.norm(at - along[..., None] * axis, axis=-1) <= radius, 1.0)
    assert np.ptp(line.points @ axis) / 2 >= 15


@pytest.mark.parametrize("flags", [np.zeros((4, 5, 6), bool), np.ones((4, 5, 6), bool)])
def test_neither_nothing_nor_everything_has_a_centreline(flags):
    line = Centreline.of(flags, 1.0)
    assert line.points.shape == (0, 3) and len(line.lengths) == len(line.widths) == 0


def test_runs_are_numbered_by_what_touches():
    points = np.array([[0, 0, 0], [5, 5, 5], [1, 1, 1], [6, 5, 5]])
    assert numbered_runs(points).tolist() == [0, 1, 0, 1]


def test_breaks_are_counted_between_found_parts():
    points, _ = digital_line((1, 0.3, 0.2), 20)
    found = np.ones(21, bool)
    assert count_breaks(points, found) == count_breaks(points, ~found) == 0
    found[[5, 6, 12]] = False
    assert count_breaks(points, found) == 2
    found[:5] = False
    assert count_breaks(points, found) == 1
    assert count_breaks(points, found, counted=np.arange(21) < 10) == 0


def test_a_lost_junction_of_three_branches_breaks_twice():
    arms = [np.array([[0, 0, 0]])]
    arms += [np.arange(1, 8)[:, None] * np.array(one) for one in ((1, 0, 0), (0, 1, 0), (0, -1, -1))]
    points = np.concatenate(arms)
    assert count_breaks(points, np.abs(points).max(1) > 2) == 2


def test_regions_thinned_one_by_one_are_those_thinned_together():
    flags = gaussian_filter(np.random.default_rng(0).normal(size=(24, 40, 30)), 1.2) > 0.09
    finer = np.zeros([2 * length - 1 for length in flags.shape], bool)
    for at in np.ndindex(finer.shape):
        # What lies between cubes is inside where all of them are.
        finer[at] = flags[tuple(slice(one // 2, (one + 1) // 2 + 1) for one in at)].all()
    points, depth = np.argwhere(skeletonize(finer, method="lee")), distance_transform_edt(flags)
    line = Centreline.of(flags, 0.5)
    assert label(flags)[1] > 10 and np.array_equal(line.points, points)
    beside = np.maximum(depth[tuple(points.T // 2)], depth[tuple((points.T + 1) // 2)])
    assert np.array_equal(line.widths, 0.5 * (2 * beside + 1))


@pytest.mark.parametrize("least", [1.0, 2.0, 2.9, 5.0, 60.0])
def test_a_line_that_is_kept_where_it_is_wide_is_that_part_of_the_whole_one(least):
    # Regions of many widths, some of which leave the grid on one side or on both.
    random, flags = np.random.default_rng(1), np.zeros((24, 60, 50), bool)
    at = np.moveaxis(np.indices(flags.shape), 0, -1)
    for radius in np.linspace(0.6, 5, 24):
        flags |= np.linalg.norm(at - random.uniform(0, flags.shape), axis=-1) <= radius
    flags[:, 20:24, 45:] = True
    whole, kept = Centreline.of(flags, 0.5), Centreline.of(flags, 0.5, least)
    wide = whole.only(whole.widths >= least)
    assert np.array_equal(kept.points, wide.points) and np.array_equal(kept.widths, wide.widths)
    assert kept.lengths.sum() == pytest.approx(wide.lengths.sum(), abs=0.01 * whole.lengths.sum())
    assert len(kept.points) < len(whole.points) or least == 1.0
