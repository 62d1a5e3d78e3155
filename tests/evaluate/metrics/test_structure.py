"""Structures by a stated rule: against shapes whose answer is known, and brute force."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from ctloupe.evaluate.metrics.structure import (
    SUPPORT,
    TOLERANCE_MM,
    Marked,
    StructureScore,
    labelled,
    segment,
    sized,
)
from ctloupe.phantom.anatomies.lung import LUNG, LungLabel
from ctloupe.phantom.anatomies.temporal_bone import TEMPORAL_BONE

LUMEN, VESSEL = LUNG.structures
(SOFT_SPACE,) = TEMPORAL_BONE.structures
EDGE = 0.08
SPACING = (EDGE, EDGE)


def disk(centre, radius_mm, shape=(160, 160)):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(y - centre[0], x - centre[1]) * EDGE <= radius_mm


def slice_with(vessels=(), lumens=(), shape=(160, 160)):
    plane = np.full(shape, -830.0)
    for centre, radius in vessels:
        plane[disk(centre, radius, shape)] = 40
    for centre, radius in lumens:
        plane[disk(centre, radius, shape)] = -1000
    return plane


def score(rule, found, real):
    made = StructureScore(rule)
    made.add(Marked.of(found, SPACING), Marked.of(real, SPACING), SPACING)
    return made


def test_a_rule_finds_what_is_there_and_leaves_what_is_too_small():
    plane = slice_with(vessels=[((40, 40), 1.0), ((40, 120), 0.15)], lumens=[((120, 80), 1.5)])
    vessel, lumen = segment(plane, VESSEL, SPACING), segment(plane, LUMEN, SPACING)
    assert (vessel ^ disk((40, 40), 1.0)).sum() < 0.1 * vessel.sum()
    assert (lumen ^ disk((120, 80), 1.5)).sum() < 0.1 * lumen.sum()


def test_a_line_thinner_than_the_opening_is_no_vessel():
    plane = slice_with()
    plane[80:83] = 40
    assert not segment(plane, VESSEL, SPACING).any()


def test_regions_are_kept_from_their_equivalent_diameter_on():
    flags = disk((40, 40), 1.0) | disk((120, 120), 0.4)
    assert np.array_equal(sized(flags, 1.0, SPACING), disk((40, 40), 1.0))
    assert np.array_equal(sized(flags, 0.5, SPACING), flags)
    assert not sized(flags, 3.0, SPACING).any()


def test_dice_and_surface_distance_are_those_of_brute_force():
    real, found = disk((80, 80), 1.2), disk((84, 79), 1.3)
    made = score(VESSEL, found, real)
    dice = 2 * (real & found).sum() / (real.sum() + found.sum())

    def border(flags):
        padded = np.pad(flags, 1)
        inner = padded[1:-1, 1:-1] & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        return np.argwhere(flags & ~inner) * EDGE

    one, other = border(real), border(found)
    away = np.concatenate([cKDTree(one).query(other)[0], cKDTree(other).query(one)[0]])
    assert made.dice() == pytest.approx(dice)
    assert made.surface_distance() == pytest.approx(away.mean())


def test_an_invented_vessel_is_false_and_a_lost_one_is_missed():
    real = disk((40, 40), 1.0) | disk((120, 40), 1.0)
    found = disk((41, 40), 1.0) | disk((40, 120), 1.0) | disk((120, 120), 0.8)
    made = score(VESSEL, found, real)
    assert (made.false, made.missed) == (2, 1)


def test_support_is_a_quarter_of_the_region_within_three_tenths_of_a_millimetre():
    real = disk((80, 80), 1.0)
    wide = disk((80, 80), 2.0)
    near = (np.hypot(*np.ogrid[-80:80, -80:80]) * EDGE <= 1.0 + TOLERANCE_MM) & wide
    assert near.sum() / wide.sum() > SUPPORT
    assert score(VESSEL, wide, real).false == 0
    assert score(VESSEL, disk((80, 80), 4.0), real).false == 1


def test_what_is_found_is_counted_by_size_of_the_labelled_cross_section():
    real = disk((30, 30), 0.6) | disk((30, 120), 1.2) | disk((110, 60), 2.0)
    found = disk((30, 120), 1.2) | disk((110, 60), 2.0)
    assert score(LUMEN, found, real).by_size() == {
        "under 2 mm": (0, 1),
        "2–3 mm": (1, 1),
        "3 mm and more": (1, 1),
    }


def test_empty_slices_have_no_distance_and_no_dice():
    nothing = np.zeros((20, 20), bool)
    made = score(VESSEL, nothing, nothing)
    assert np.isnan(made.dice()) and np.isnan(made.surface_distance())
    assert made.false == made.missed == 0


def test_blur_loses_small_structures_first():
    plane = slice_with(vessels=[((40, 40), 0.5), ((40, 110), 0.5), ((110, 80), 2.0)])
    labels = np.where(plane == 40, LungLabel.ARTERY, LungLabel.PARENCHYMA)
    made = StructureScore(VESSEL)
    blurred = segment(gaussian_filter(plane, 0.5 / EDGE), VESSEL, SPACING)
    made.add(Marked.of(blurred, SPACING), Marked.of(labelled(labels, VESSEL, SPACING), SPACING), SPACING)
    assert made.by_size()["under 2 mm"] == (0, 2) and made.by_size()["3 mm and more"] == (1, 1)


def test_the_soft_space_of_bone_is_neither_air_nor_dense_bone():
    plane = np.full((60, 60), 2100.0)
    plane[disk((30, 30), 1.0, (60, 60))] = 15
    plane[:10] = -1000
    found = segment(plane, SOFT_SPACE, SPACING)
    assert found[30, 30] and not found[:8].any() and not found[50].any()


@pytest.mark.parametrize("rule", [LUMEN, VESSEL, SOFT_SPACE])
def test_a_rule_can_be_read(rule):
    text = rule.in_words()
    assert rule.name in text and "HU" in text and f"{rule.least:g} mm" in text
