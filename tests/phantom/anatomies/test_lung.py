"""The anatomy: statistics a reader can check, measured here in another way than the package does."""

import numpy as np
import pytest
from scipy import ndimage

from ctloupe.foundation.errors import OptionError
from ctloupe.phantom.anatomies.lung import LungLabel, lung_anatomy, statistics
from ctloupe.phantom.tubes import draw


@pytest.fixture(scope="module")
def anatomy():
    return lung_anatomy((48, 160, 160), 7)


def test_the_same_seed_gives_the_same_lung_and_another_seed_another():
    one, same, other = (lung_anatomy((16, 48, 48), seed) for seed in (3, 3, 4))
    assert np.array_equal(one.hu, same.hu)
    assert np.array_equal(one.labels, same.labels)
    assert not np.array_equal(one.hu, other.hu)


@pytest.mark.parametrize("asked", [-890, -830, -760])
def test_the_parenchyma_has_the_mean_that_was_asked_for(asked):
    made = lung_anatomy((24, 96, 96), 1, parenchyma_hu=asked)
    found = made.hu[made.labels == LungLabel.PARENCHYMA].mean()
    assert found == pytest.approx(asked, abs=20)
    assert statistics(made)["parenchyma_mean_hu"] == pytest.approx(found)


def test_alveoli_are_as_wide_as_stated_judged_by_their_air(anatomy):
    # Mean chord of air along x between walls; for a sphere it is two thirds of the diameter, and half-open walls
    # lengthen it.
    air = (anatomy.hu < -600) & (anatomy.labels == LungLabel.PARENCHYMA)
    ends = np.count_nonzero(air[..., :-1] & ~air[..., 1:])
    chord = np.count_nonzero(air) / ends * anatomy.spacing
    stated = statistics(anatomy)["alveolar_diameter_mm"]
    assert 0.25 <= stated <= 0.4
    assert 0.35 * stated < chord < 1.6 * stated


def test_vessels_are_tissue_lumens_are_air_and_walls_lie_between(anatomy):
    mean = {label: anatomy.hu[anatomy.labels == label].mean() for label in LungLabel if (anatomy.labels == label).any()}
    assert mean[LungLabel.AIRWAY_LUMEN] < -880
    assert mean[LungLabel.ARTERY] > -120
    assert mean[LungLabel.VEIN] > -120
    assert -500 < mean[LungLabel.AIRWAY_WALL] < 40
    assert anatomy.hu.min() >= -1000
    assert anatomy.hu.max() <= 40


@pytest.mark.parametrize("kind", ["airway", "artery", "vein"])
def test_every_branch_starts_where_its_parent_ends_and_is_no_wider(anatomy, kind):
    branches = anatomy.branches
    mine = [one for one in branches if one.kind == kind]
    assert len(mine) > 20
    for one in mine:
        assert one.radius_end <= one.radius_start + 1e-9
        if one.parent < 0:
            continue
        parent = branches[one.parent]
        assert parent.kind == kind
        assert one.radius_start <= parent.radius_start + 1e-9
        # Arteries run beside their airway and may join a parent along its side by no more than its width.
        gap = np.linalg.norm(np.subtract(one.start, parent.end))
        assert gap <= 2 * parent.radius_end + 1e-6


def test_airways_taper_from_branch_to_branch(anatomy):
    assert 0.7 < statistics(anatomy)["taper_mean"] < 0.9


def test_a_tree_drawn_whole_is_one_connected_tube():
    made = lung_anatomy((16, 64, 64), 2)
    airways = [one for one in made.branches if one.kind == "airway"]
    wide = {index for index, one in enumerate(airways) if one.radius_end > 0.2}
    kept = [one for index, one in enumerate(airways) if index in wide and _chain(airways, index) <= wide]
    points = np.array([point for one in kept for point in (one.start, one.end)])
    shift, spacing = points.min(0) - 2, 0.15
    moved = [_moved(one, shift) for one in kept]
    shape = tuple(int(n) for n in np.ceil((points.max(0) - shift + 2) / spacing))
    drawn = draw(moved, shape, spacing, outer=True) > 0.5
    roots = sum(one.parent < 0 for one in kept)
    assert ndimage.label(drawn, np.ones((3, 3, 3)))[1] <= roots


def _chain(branches, index):
    found = set()
    while index >= 0:
        found.add(index)
        index = branches[index].parent
    return found


def _moved(one, shift):
    from dataclasses import replace

    return replace(one, start=tuple(np.subtract(one.start, shift)), end=tuple(np.subtract(one.end, shift)))


def test_airway_walls_are_as_thick_as_the_segments_say(anatomy):
    # Volume of the wall over the area between wall and lumen is a thickness.
    lumen = anatomy.labels == LungLabel.AIRWAY_LUMEN
    wall = anatomy.labels == LungLabel.AIRWAY_WALL
    near = ndimage.distance_transform_edt(~lumen) * anatomy.spacing
    reach = near[wall & (near < 1)]
    walls = [one.wall for one in anatomy.branches if one.kind == "airway"]
    assert min(walls) >= 0.05
    assert np.percentile(reach, 90) == pytest.approx(np.mean(walls), abs=2.5 * anatomy.spacing)


def test_a_nodule_is_there_when_asked_for_and_not_otherwise():
    assert not (lung_anatomy((32, 64, 64), 5).labels == LungLabel.NODULE).any()
    made = lung_anatomy((32, 64, 64), 5, nodule=True)
    nodule = made.labels == LungLabel.NODULE
    assert nodule.any()
    assert ndimage.label(nodule)[1] <= 3
    assert made.hu[nodule].mean() > -150


@pytest.mark.parametrize("change", [{"alveolus_mm": 0.5}, {"parenchyma_hu": -500}, {"spacing": 1.0}])
def test_what_is_no_lung_is_refused(change):
    with pytest.raises(OptionError, match=next(iter(change))):
        lung_anatomy((16, 32, 32), 0, **change)
