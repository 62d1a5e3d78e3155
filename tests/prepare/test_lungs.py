"""The lung mask on a built thorax, a phantom and the real chest CT."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from ctloupe.foundation.errors import IntensityError
from ctloupe.phantom.phantom import make_phantom
from ctloupe.prepare.lungs import lung_hull, lung_mask
from ctloupe.volume.formats import read
from ctloupe.volume.volume import Volume

CHEST = Path(__file__).resolve().parents[3] / "shared" / "data" / "chest-ct-lung-pet-ct-dx-A0001"
SPACING = (4.0, 1.6, 1.6)


@cache
def thorax():
    """HU of a thorax (z upwards, y to the back), and where what lies."""
    z, y, x = np.meshgrid(np.arange(40), np.arange(160), np.arange(200), indexing="ij")
    where = {}
    hu = np.full(z.shape, -1000, np.int16)
    hu[((y - 80) / 70) ** 2 + ((x - 100) / 96) ** 2 < 1] = 40
    where["table"] = (y > 154) & (y < 158)
    where["outside"] = (hu == -1000) & ~where["table"]
    hu[where["table"]] = 200
    right = ((y - 82) / 48) ** 2 + ((x - 52) / 36) ** 2 < 1
    left = ((y - 82) / 48) ** 2 + ((x - 146) / 36) ** 2 < 1
    # A bridge of lung in front of the heart, as where both lungs touch.
    bridge = (abs(y - 45) < 3) & (x > 80) & (x < 120) & (abs(z - 20) < 4)
    where["lungs"] = (right | left | bridge) & (z > 8) & (z < 34)
    noise = np.random.default_rng(0).normal(0, 15, z.shape)
    hu[where["lungs"]] = (-850 + noise)[where["lungs"]].astype(np.int16)
    where["vessel"] = ((y - 80) ** 2 + (x - 50) ** 2 < 9) & where["lungs"]
    where["nodule"] = ((y - 82) ** 2 + (x - 19) ** 2 + (2.5 * (z - 20)) ** 2 < 20) & where["lungs"]
    where["trachea"] = ((y - 75) ** 2 + (x - 99) ** 2 < 30) & (z > 18)
    where["bowel"] = ((y - 60) ** 2 + (x - 130) ** 2 < 60) & (z < 5)
    for name, value in (("vessel", 30), ("nodule", 20), ("trachea", -990), ("bowel", -980)):
        hu[where[name]] = value
    return hu, where


@pytest.fixture(scope="module")
def straight():
    """The mask of the thorax as it is built."""
    return lung_mask(Volume(thorax()[0], SPACING, units="HU"))


def test_lungs_are_kept_whole_and_everything_else_is_left_out(straight):
    _, where = thorax()
    mask = straight
    assert mask[where["lungs"]].mean() > 0.97
    assert mask[where["vessel"]].mean() > 0.9
    assert mask[where["nodule"]].mean() > 0.7
    assert mask[where["trachea"]].mean() < 0.05
    for name in ("bowel", "table", "outside"):
        assert not mask[where[name]].any(), name
    assert mask[~where["lungs"] & ~where["trachea"]].mean() < 0.01


@pytest.mark.parametrize("axes", [(0, 2), (1,)])
def test_a_scan_stored_the_other_way_round_gives_the_mask_the_other_way_round(axes, straight):
    hu, _ = thorax()
    signs = [-1.0 if 2 - axis in axes else 1.0 for axis in range(3)]
    turned = Volume(np.flip(hu, axes).copy(), SPACING, direction=np.diag(signs), units="HU")
    agree = np.flip(lung_mask(turned), axes)
    assert np.count_nonzero(agree != straight) < 0.005 * np.count_nonzero(straight)


@pytest.mark.parametrize(("order", "flips"), [((1, 0, 2), ()), ((2, 1, 0), (0, 2))])
def test_a_coronal_or_sagittal_scan_gives_the_mask_with_its_axes_exchanged(order, flips, straight):
    hu, _ = thorax()
    # Columns of a direction are the index axes x, y, z: array axis k is column 2 − k.
    columns = [np.eye(3)[:, 2 - old] * (-1 if new in flips else 1) for new, old in enumerate(order)]
    turned = Volume(
        np.flip(hu.transpose(order), flips).copy(),
        tuple(SPACING[old] for old in order),
        direction=np.column_stack(columns[::-1]),
        units="HU",
    )
    agree = np.flip(lung_mask(turned), flips).transpose(np.argsort(order))
    assert np.count_nonzero(agree != straight) < 0.005 * np.count_nonzero(straight)


@pytest.mark.slow
def test_smaller_pixels_give_the_same_mask_whichever_way_they_are_stored(straight):
    hu, _ = thorax()
    # An odd number of columns, so that the blocks of the search do not meet the far side.
    hu, coarse = (np.repeat(np.repeat(one, 2, 1), 2, 2)[:, :, :-1] for one in (hu, straight))
    spacing = (SPACING[0], SPACING[1] / 2, SPACING[2] / 2)
    fine = lung_mask(Volume(hu, spacing, units="HU"))
    assert np.count_nonzero(fine != coarse) < 0.03 * np.count_nonzero(coarse)
    mirrored = Volume(hu[:, :, ::-1].copy(), spacing, direction=np.diag([-1.0, 1.0, 1.0]), units="HU")
    assert np.array_equal(lung_mask(mirrored)[:, :, ::-1], fine)


def test_noise_does_not_pierce_the_mask_of_a_small_view_inside_the_lung():
    values = np.random.default_rng(0).normal(-850, 60, (8, 64, 64)).astype(np.int16)
    values[:, 20:24, 40:44] = 30
    assert lung_mask(Volume(values, (0.625, 0.625, 0.625), units="HU")).mean() > 0.98


@pytest.mark.slow
def test_a_view_that_lies_wholly_inside_the_lung_is_nearly_all_mask():
    assert lung_mask(make_phantom("lung", (16, 320, 320), 4).clinical).mean() > 0.9


@pytest.mark.parametrize("value", [40, -1000], ids=["tissue", "air"])
def test_a_scan_without_lungs_says_so_and_what_to_do(value):
    with pytest.raises(IntensityError, match="`mask` none"):
        lung_mask(Volume(np.full((8, 64, 64), value, np.int16), SPACING, units="HU"))


@pytest.fixture(scope="module")
def chest():
    """The real chest CT and its lung mask."""
    if not CHEST.is_dir():
        pytest.skip("the real chest CT of shared/data is not here")
    scan = read(CHEST)
    return scan, lung_mask(scan)


@pytest.mark.slow
def test_the_real_chest_ct_has_two_lungs_of_a_plausible_size_without_trachea(chest):
    scan, mask = chest
    litres = mask.sum() * np.prod(scan.spacing) / 1e6
    assert 4.5 < litres < 6.5
    sizes = np.bincount(ndimage.label(mask)[0].ravel())[1:]
    assert sorted(sizes)[-1] + (sorted(sizes)[-2] if len(sizes) > 1 else 0) > 0.99 * mask.sum()
    # The trachea above the carina: the round section of air nearest to the midline.
    for z in (48, 50, 52):
        labels, count = ndimage.label(scan.data[z, 200:330, 200:312] < -900)
        found = [one for one in range(1, count + 1) if 100 < np.count_nonzero(labels == one) < 900]
        middle = min(found, key=lambda one: abs(ndimage.center_of_mass(labels == one)[1] - 56))
        assert mask[z, 200:330, 200:312][labels == middle].mean() < 0.05
    assert not mask[:, :60].any()


def test_the_hull_holds_a_vessel_that_enters_the_hilum_but_neither_heart_nor_chest_wall_nor_the_other_lung():
    z, y, x = np.meshgrid(np.arange(30), np.arange(110), np.arange(150), indexing="ij")
    right = ((y - 55) / 45) ** 2 + ((x - 34) / 32) ** 2 < 1
    left = ((y - 55) / 45) ** 2 + ((x - 103) / 32) ** 2 < 1
    heart = ((y - 45) / 22) ** 2 + ((x - 80) / 22) ** 2 < 1
    inside = (z > 3) & (z < 26)
    # A notch of 16 mm in the mediastinal side of the right lung, as where an artery of the hilum enters.
    artery = right & inside & (x > 50) & (abs(y - 60) < 5) & (abs(z - 15) < 3)
    bronchus = left & inside & ((y - 62) ** 2 + (x - 108) ** 2 < 20)
    lungs = (right | left) & inside & ~heart & ~artery & ~bronchus
    hull = lung_hull(lungs, SPACING)
    assert hull[lungs].all()
    assert hull[artery].mean() > 0.7
    assert hull[bronchus].mean() > 0.9
    assert hull[heart & ~lungs].mean() < 0.04
    assert hull[~(right | left)].mean() < 0.002
    # Between the lungs, 3 voxels apart where they are nearest, stays a way through from front to back.
    assert not hull[15].all(0)[67:70].any() and not hull[:, 55, 67:70].any()


def test_the_hull_of_a_full_field_of_view_or_of_nothing_is_itself():
    assert lung_hull(np.ones((4, 12, 12), bool), SPACING).all()
    assert not lung_hull(np.zeros((4, 12, 12), bool), SPACING).any()


@pytest.mark.slow
def test_the_hull_of_the_real_chest_ct_fills_the_hila_and_little_else(chest):
    scan, mask = chest
    hull = lung_hull(mask, scan.spacing)
    # The left lower lobe's bronchus with the artery beside it, an island that the lung mask leaves out.
    island = (34, slice(320, 330), slice(310, 320))
    assert mask[island].mean() < 0.5 and hull[island].all()
    assert hull.sum() < 1.03 * mask.sum()
    # The descending aorta and the heart.
    assert not hull[20:34, 335:345, 267:277].any()
    assert not hull[20:34, 230:260, 268:288].any()
