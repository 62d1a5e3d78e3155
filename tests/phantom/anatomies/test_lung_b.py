"""The second lung family: what it promises, and what is made differently than in the first, measured from outside."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist

from ctloupe.foundation.errors import OptionError
from ctloupe.phantom.anatomies.lung import LUNG, LungLabel
from ctloupe.phantom.anatomies.lung_b import LUNG_B, lung_b_anatomy, statistics
from ctloupe.phantom.anatomies.lung_b_parts.sheets import sheets
from ctloupe.phantom.anatomies.lung_parts.septa import Septa
from ctloupe.phantom.tubes import draw

KINDS = pytest.mark.parametrize("kind", ["airway", "artery", "vein"])


@pytest.fixture(scope="module")
def anatomy():
    return lung_b_anatomy((48, 160, 160), 7)


def of_kind(anatomy, kind):
    return [one for one in anatomy.branches if one.kind == kind]


def test_the_same_seed_gives_the_same_lung_and_another_seed_another():
    one, same, other = (lung_b_anatomy((16, 48, 48), seed) for seed in (3, 3, 4))
    assert np.array_equal(one.hu, same.hu)
    assert np.array_equal(one.labels, same.labels)
    assert not np.array_equal(one.hu, other.hu)


def test_what_is_asked_for_changes_nothing_else():
    plain, more = (lung_b_anatomy((16, 96, 96), 3, nodule=wish, holes=2 * wish) for wish in (False, True))
    for label in (LungLabel.AIRWAY_LUMEN, LungLabel.ARTERY, LungLabel.VEIN):
        assert np.array_equal(plain.labels == label, more.labels == label)
    assert (plain.hu == more.hu).mean() > 0.7


@pytest.mark.parametrize("asked", [-890, -830, -760])
def test_the_parenchyma_has_the_mean_that_was_asked_for(asked):
    made = lung_b_anatomy((24, 96, 96), 1, parenchyma_hu=asked)
    found = made.hu[made.labels == LungLabel.PARENCHYMA].mean()
    assert found == pytest.approx(asked, abs=20)
    assert statistics(made)["parenchyma_mean_hu"] == pytest.approx(found)


@pytest.mark.parametrize("asked", [0.25, 0.5])
def test_air_spaces_are_as_wide_as_asked_for(asked):
    # A line from wall to wall, walls being what is denser than most of the air. Thick walls shorten it, walls that are
    # thinned to nothing lengthen it.
    made = lung_b_anatomy((24, 128, 128), 2, air_space_mm=asked)
    air = (made.hu < -850) & (made.labels == LungLabel.PARENCHYMA)
    chord = np.count_nonzero(air) / np.count_nonzero(air[..., :-1] & ~air[..., 1:]) * made.spacing
    assert 0.6 * asked < chord < 1.4 * asked


def test_air_is_one_connected_space_as_it_is_in_ducts():
    made = lung_b_anatomy((24, 96, 96), 1)
    air = (made.hu < -700) & (made.labels == LungLabel.PARENCHYMA)
    assert np.bincount(ndimage.label(air)[0][air]).max() > 0.95 * np.count_nonzero(air)


def test_vessels_are_tissue_lumens_are_air_and_walls_lie_between(anatomy):
    mean = {label: anatomy.hu[anatomy.labels == label].mean() for label in LungLabel if (anatomy.labels == label).any()}
    assert mean[LungLabel.AIRWAY_LUMEN] < -880
    assert mean[LungLabel.ARTERY] > -120
    assert mean[LungLabel.VEIN] > -120
    assert -500 < mean[LungLabel.AIRWAY_WALL] < 40
    assert LUNG_B.display[0] <= anatomy.hu.min() and anatomy.hu.max() <= LUNG_B.display[1]


@KINDS
def test_every_branch_starts_at_its_parent_and_grows_thinner_all_along(anatomy, kind):
    branches, mine = anatomy.branches, of_kind(anatomy, kind)
    assert len(mine) > 15
    for one in mine:
        assert np.all(np.diff(one.radii) < 0)
        if one.parent >= 0:
            parent = branches[one.parent]
            assert parent.kind == kind
            assert one.radii[0] <= parent.radii[-1] + 1e-9
            assert np.allclose(one.path[0], parent.path[-1], atol=1e-6)


def test_a_vessel_tapers_on_the_grid_too():
    # The longest vein alone, drawn by itself: its cross-sections by their area.
    vein = max(of_kind(lung_b_anatomy((16, 96, 96), 5), "vein"), key=lambda one: one.length())
    spacing, shift = 0.05, vein.path.min(axis=0) - 1
    moved = replace(vein, path=vein.path - shift)
    shape = tuple(int(length) for length in np.ceil((moved.path.max(axis=0) + 1) / spacing))
    away = ndimage.distance_transform_edt(draw(moved.inside(), shape, spacing) >= 0.5) * spacing
    at = tuple(np.rint(moved.path[[1, -2]] / spacing).astype(int).T)
    assert away[at][1] < 0.97 * away[at][0]
    assert away[at] == pytest.approx(vein.radii[[1, -2]], abs=1.5 * spacing)


@KINDS
def test_middle_lines_are_curved(anatomy, kind):
    long = [one for one in of_kind(anatomy, kind) if one.length() > 1]
    bends = []
    for one in long:
        chord = (one.path[-1] - one.path[0]) / np.linalg.norm(one.path[-1] - one.path[0])
        off = one.path - one.path[0]
        bends.append(np.linalg.norm(off - np.outer(off @ chord, chord), axis=1).max() / one.length())
    assert np.median(bends) > 0.03
    assert 1.01 < np.mean([one.tortuosity() for one in long]) < 1.3


def test_a_branch_divides_unevenly_by_murrays_law_and_its_thicker_child_turns_less(anatomy):
    veins = of_kind(anatomy, "vein")
    families = {}
    for one in veins:
        families.setdefault(one.parent, []).append(one)
    pairs = [(anatomy.branches[parent], pair) for parent, pair in families.items() if len(pair) == 2 and parent >= 0]
    assert len(pairs) > 5
    ratios, turns = [], []
    for parent, pair in pairs:
        pair.sort(key=lambda one: one.radii[0])
        ratios.append(pair[0].radii[0] / pair[1].radii[0])
        turns.append([np.dot(one.path[5] - one.path[0], parent.path[-1] - parent.path[-2]) for one in pair])
        sums = sum(one.radii[0] ** 3 for one in pair)
        assert sums <= parent.radii[0] ** 3 * (1 + 1e-9) and sums > 0.6 * parent.radii[0] ** 3
    assert np.std(ratios) > 0.05 and np.mean(ratios) < 0.9
    assert np.mean([thick > thin for thin, thick in turns]) > 0.7


def test_thinner_branches_are_shorter(anatomy):
    veins = of_kind(anatomy, "vein")
    rank = np.corrcoef([one.radii[0] for one in veins], [one.length() for one in veins])[0, 1]
    assert rank > 0.5


def test_airway_walls_vary_along_and_around(anatomy):
    airways = of_kind(anatomy, "airway")
    along = [one.walls.std() / one.walls.mean() for one in airways]
    around = [np.linalg.norm(one.shifts, axis=1).max() / one.walls.mean() for one in airways]
    assert np.median(along) > 0.05 and np.median(around) > 0.1
    for one in airways:
        assert np.all(np.linalg.norm(one.shifts, axis=1) < 0.8 * one.walls) and one.walls.min() > 0.04
    assert statistics(anatomy)["airway_wall_spread"] > 0.1


def test_an_artery_runs_beside_every_airway_and_does_not_enter_it(anatomy):
    airways, arteries = of_kind(anatomy, "airway"), of_kind(anatomy, "artery")
    assert len(airways) == len(arteries)
    gaps = [
        cdist(artery.path[4:], airway.path).min(axis=1) / (artery.radii[4:] + airway.radii[4:])
        for artery, airway in zip(arteries, airways, strict=True)
    ]
    gaps = np.concatenate(gaps)
    assert np.quantile(gaps, 0.02) > 0.95 and np.median(gaps) < 2.5


def test_a_nodule_is_there_when_asked_for_and_not_otherwise():
    assert not (lung_b_anatomy((32, 64, 64), 5).labels == LungLabel.NODULE).any()
    made = lung_b_anatomy((32, 64, 64), 5, nodule=True)
    nodule = made.labels == LungLabel.NODULE
    assert nodule.any()
    assert made.hu[nodule].mean() > -150


def test_holes_are_air_without_septa():
    plain, holed = (lung_b_anatomy((32, 96, 96), 5, holes=number) for number in (0, 5))
    lost = (plain.hu > -900) & (holed.hu == -1000)
    assert lost.mean() > 0.002
    changed = plain.hu != holed.hu
    assert (holed.hu[changed] <= plain.hu[changed]).all()


def test_its_septa_are_sparser_than_the_first_familys():
    shape, spacing, extent = (24, 256, 256), 0.078125, np.array([2.0, 20.0, 20.0])
    first, second = [], []
    for seed in range(3):
        first.append(Septa(np.zeros(3), extent, 11.0, 0.12, np.random.default_rng(seed)).coverage(shape, spacing)[1])
        second.append(sheets(shape, spacing, 0.12, np.random.default_rng(seed))[1])
    assert 0 < sum(share.sum() for share in second) < 0.8 * sum(share.sum() for share in first)


def test_it_is_scanned_and_judged_as_the_first_family():
    assert (LUNG_B.labels, LUNG_B.micro, LUNG_B.structures) == (LUNG.labels, LUNG.micro, LUNG.structures)
    assert LUNG_B.checked({}).model_dump() == {"parenchyma_hu": -830.0, "nodule": False, "holes": 0}


@pytest.mark.parametrize("change", [{"air_space_mm": 1.0}, {"parenchyma_hu": -500}, {"spacing": 1.0}, {"holes": -1}])
def test_what_is_no_lung_is_refused(change):
    with pytest.raises(OptionError, match=next(iter(change))):
        lung_b_anatomy((16, 32, 32), 0, **change)
