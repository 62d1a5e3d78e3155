"""Trees in three dimensions: tubes whose length is known, and what cutting, adding and moving them does."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctloupe.evaluate import cubes
from ctloupe.evaluate.metrics.trees import TREES, trees_in_words
from ctloupe.evaluate.protocols.measuring import ImageMeasure
from ctloupe.evaluate.slices import ImageSlice, Reference, Setting
from ctloupe.phantom.anatomies.lung import LUNG, LungLabel
from ctloupe.phantom.anatomies.temporal_bone import TEMPORAL_BONE
from ctloupe.volume.volume import Volume

SPACING = (0.34, 0.17, 0.17)
SHAPE = (16, 32, 32)
RADIUS = 0.6
FOUND, FALSE, BREAKS = "vessel tree found (%)", "false vessel branches (mm/cm³)", "vessel breaks (/cm)"
VESSELS = [metric for metric in TREES if "vessel" in metric.label]
TRUNK = ((-2, 2.6, 1.5), (8, 2.6, 1.5))
LONG = 15 * 0.34 - 2 * RADIUS
"""Centreline of the trunk in mm: thinning takes about a radius off at either end."""


def tube(start, end, radius=RADIUS):
    """Voxels within a radius of the line between two points in mm."""
    at = np.stack(np.meshgrid(*(np.arange(n) * edge for n, edge in zip(SHAPE, SPACING, strict=True)), indexing="ij"))
    start, axis = np.array(start, float)[:, None, None, None], np.subtract(end, start)
    along = np.clip(np.tensordot(axis, at - start, 1) / (axis @ axis), 0, 1)
    return np.linalg.norm(at - start - axis[:, None, None, None] * along, axis=0) <= radius


def lung(vessels):
    return np.where(vessels, 40.0, -830.0).astype(np.float32)


def setting_of(spacing=SPACING, slices=SHAPE[0], anatomy=LUNG):
    shape = (slices, *SHAPE[1:])
    known = frozenset({"scan", "truth", "labels"})
    return Setting.of(shape, Volume(np.zeros(shape, np.int16), spacing), None, known=known, anatomy=anatomy)


def measured(true, image):
    """Numbers of an image of a body whose vessels are known."""
    setting, labels = setting_of(), np.where(true, LungLabel.ARTERY, LungLabel.PARENCHYMA)
    measuring = ImageMeasure(VESSELS, setting)
    for z, plane in enumerate(image):
        measuring.add(ImageSlice(plane, Reference(setting, z, plane, labels=labels[z]), SPACING[1]))
    return {metric.label: measuring.value(metric) for metric in VESSELS}


@pytest.mark.parametrize("end", [(5, 2.6, 2.6), (2.5, 2.6, 5), (2.5, 4.7, 4.7), (4.6, 4.7, 4.7), (3.5, 2.6, 4.8)])
def test_a_tube_in_any_direction_is_found_whole(end):
    true = tube(np.subtract((5, 5.2, 5.2), end), end)
    found = measured(true, lung(true))
    assert found[FOUND] > 98 and found[FALSE] == found[BREAKS] == 0


def test_a_gap_is_a_break_and_a_lost_end_is_none():
    true = tube(*TRUNK)
    gap, end = true.copy(), true.copy()
    gap[7:9] = False
    end[10:] = False
    with_gap, without_end = measured(true, lung(gap)), measured(true, lung(end))
    assert with_gap[BREAKS] == pytest.approx(10 / LONG, rel=0.1) and with_gap[FALSE] == 0
    assert with_gap[FOUND] < 80
    assert without_end[BREAKS] == 0 and without_end[FOUND] == pytest.approx(
        100 * (10 * 0.34 - 2 * RADIUS) / LONG, abs=15
    )


def test_a_vessel_that_is_missing_in_one_slice_is_broken():
    true = tube(*TRUNK)
    image = lung(true)
    image[8] = -830
    assert measured(true, image)[BREAKS] > 0


def test_an_invented_side_branch_is_false_over_its_length_and_breaks_nothing():
    true, side = tube(*TRUNK), tube((2.5, 2.6, 1.5), (2.5, 2.6, 9))
    found = measured(true, lung(true | side))
    volume = np.prod(SHAPE) * np.prod(SPACING) / 1000
    outside = SHAPE[2] * SPACING[2] - 1.5 - RADIUS - 0.3 - RADIUS
    assert found[FALSE] * volume == pytest.approx(outside, rel=0.15)
    assert found[FOUND] > 98 and found[BREAKS] == 0


def test_a_lost_side_branch_is_missed_and_breaks_nothing():
    trunk, side = tube(*TRUNK), tube((2.5, 2.6, 1.5), (2.5, 2.6, 9))
    found = measured(trunk | side, lung(trunk))
    assert found[FOUND] == pytest.approx(100 * LONG / (LONG + 5.2 - 1.5 - RADIUS), abs=10)
    assert found[FALSE] == found[BREAKS] == 0


def test_a_small_shift_is_tolerated_and_a_large_one_is_false_and_missed():
    true = tube(*TRUNK)
    near, far = (measured(true, lung(np.roll(true, pixels, axis=2))) for pixels in (2, 12))
    assert near[FOUND] > 98 and near[FALSE] == 0
    assert far[FOUND] == 0 and far[FALSE] > 0


def test_a_blur_that_hides_a_thin_vessel_is_caught():
    true = tube(*TRUNK) | tube((2.5, 0, 4), (2.5, 6, 4), 0.5)
    sharp, blurred = measured(true, lung(true)), measured(true, gaussian_filter(lung(true), (0, 3, 3)))
    assert sharp[FOUND] > 98 and blurred[FOUND] < 70


def test_everything_is_no_tree():
    assert measured(tube(*TRUNK), np.full(SHAPE, 40, np.float32))[FOUND] == 0


def test_blocks_add_up_to_the_whole(monkeypatch):
    true = tube(*TRUNK) | tube((2.5, 2.6, 1.5), (4, 4.5, 4.5))
    image = lung(tube(*TRUNK))
    image[7:9] = -830
    whole = measured(true, image)
    monkeypatch.setattr(cubes, "CORE", (16, 20, 40))
    monkeypatch.setattr(cubes, "MARGIN", 10)
    assert measured(true, image) == pytest.approx(whole, rel=0.02)


def test_nothing_true_has_no_share_and_what_is_found_is_false():
    found = measured(np.zeros(SHAPE, bool), lung(tube(*TRUNK)))
    assert np.isnan(found[FOUND]) and np.isnan(found[BREAKS]) and found[FALSE] > 0


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        (setting_of((0.5, 0.17, 0.17)), "0.5 mm apart, and 0.4 mm"),
        (setting_of(slices=7), "7 slices are too few"),
        (setting_of((0.34, 0.17, 0.25)), "not square"),
        (replace(setting_of(), slice_spacing=float("nan")), "nan mm apart"),
    ],
)
def test_a_tree_that_slices_cannot_show_is_left_out_with_the_reason(setting, why):
    assert not any(metric.applies(setting) for metric in TREES if "vessel" in metric.label)
    assert why in trees_in_words(setting)["vessel"]


def test_wide_tubes_bear_thicker_slices_than_narrow_ones():
    setting = setting_of((0.6, 0.17, 0.17))
    assert {metric.label for metric in TREES if metric.applies(setting)} == {
        "lumen tree found (%)", "false lumen branches (mm/cm³)", "lumen breaks (/cm)",
    }  # fmt: skip
    assert "was measured" in trees_in_words(setting)["lumen"] and "left out" in trees_in_words(setting)["vessel"]


def test_an_anatomy_without_trees_has_none():
    assert trees_in_words(setting_of(anatomy=TEMPORAL_BONE)) == {}
