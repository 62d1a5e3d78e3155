"""Walls of known thickness, imaged with known blur."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctloupe.evaluate.metrics.airway_walls import WallScore, edge_width, profiles, wall_profiles, wall_thickness
from ctloupe.phantom.anatomies.lung import LUNG, LungLabel

EDGE = 0.05
SPACING = (EDGE, EDGE)
SHAPE = (200, 200)


def airway(radius=1.5, wall=0.5, centre=(100.3, 99.6), stretch=1.0):
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    away = np.hypot((y - centre[0]) / stretch, x - centre[1]) * EDGE
    labels = np.full(SHAPE, LungLabel.PARENCHYMA)
    labels[away <= radius + wall] = LungLabel.AIRWAY_WALL
    labels[away <= radius] = LungLabel.AIRWAY_LUMEN
    # Partial volume at both borders, so that the shape does not depend on the grid.
    share = np.clip((radius + wall - away) / EDGE + 0.5, 0, 1) - np.clip((radius - away) / EDGE + 0.5, 0, 1)
    inside = np.clip((radius - away) / EDGE + 0.5, 0, 1)
    return -830 * (1 - share - inside) - 1000 * inside + 40 * share, labels


@pytest.mark.parametrize("wall", [0.3, 0.5, 0.8])
def test_the_thickness_of_a_sharp_wall_is_measured_to_half_a_pixel(wall):
    plane, labels = airway(wall=wall)
    where = wall_profiles(labels, SPACING, LUNG.walls)
    assert where.thickness == pytest.approx([wall], abs=EDGE / 2)
    assert where.diameter == pytest.approx([3.0], rel=0.02)
    found = wall_thickness(profiles(plane, where)[0], where.along, wall)
    assert found == pytest.approx(wall, abs=EDGE / 2)


def test_the_edge_of_a_blurred_wall_is_as_wide_as_the_blur():
    plane, labels = airway(wall=1.0)
    sigma = 0.15
    where = wall_profiles(labels, SPACING, LUNG.walls)
    profile = profiles(gaussian_filter(plane, sigma / EDGE), where)[0]
    # A step behind a Gaussian rises from 10 to 90% over 2.563 of its standard deviations.
    assert edge_width(profile, where.along, 1.0) == pytest.approx(2.563 * sigma, rel=0.08)


def test_blur_makes_a_thin_wall_thick():
    plane, labels = airway(wall=0.2)
    where = wall_profiles(labels, SPACING, LUNG.walls)
    sharp, blurred = (profiles(image, where)[0] for image in (plane, gaussian_filter(plane, 5)))
    assert wall_thickness(blurred, where.along, 0.2) > 2 * wall_thickness(sharp, where.along, 0.2)


def test_an_image_without_a_wall_has_no_thickness_and_no_edge():
    _, labels = airway()
    where = wall_profiles(labels, SPACING, LUNG.walls)
    flat = profiles(np.full(SHAPE, -830.0), where)[0]
    assert np.isnan(wall_thickness(flat, where.along, 0.5)) and np.isnan(edge_width(flat, where.along, 0.5))
    made = WallScore()
    made.add(np.full(SHAPE, -830.0), where)
    assert made.found() == 0 and np.isnan(made.thickness_error())


def test_airways_that_are_small_cut_along_or_at_the_border_do_not_count():
    assert not wall_profiles(airway(radius=0.3)[1], SPACING, LUNG.walls).places
    assert not wall_profiles(airway(radius=1.0, stretch=3.0)[1], SPACING, LUNG.walls).places
    assert not wall_profiles(airway(centre=(10, 100))[1], SPACING, LUNG.walls).places


def test_rays_that_meet_a_vessel_behind_the_wall_do_not_count():
    _, labels = airway()
    beside = labels.copy()
    beside[:, 140:160][labels[:, 140:160] == LungLabel.PARENCHYMA] = LungLabel.ARTERY
    whole, fewer = (
        wall_profiles(labels, SPACING, LUNG.walls).places[0],
        wall_profiles(beside, SPACING, LUNG.walls).places[0],
    )
    assert whole.shape[1] == 64 and 16 <= fewer.shape[1] < 60
    beside[labels == LungLabel.PARENCHYMA] = LungLabel.ARTERY
    assert not wall_profiles(beside, SPACING, LUNG.walls).places


def test_errors_are_gathered_by_size():
    made = WallScore()
    for radius in (0.6, 1.2, 1.8):
        plane, labels = airway(radius=radius, wall=0.4)
        made.add(plane, wall_profiles(labels, SPACING, LUNG.walls))
    assert [count for count, *_ in made.by_size().values()] == [1, 1, 1]
    assert made.thickness_error() < EDGE
    assert made.found() == 1
