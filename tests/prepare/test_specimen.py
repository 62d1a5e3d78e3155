"""The specimen mask of a µCT."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from ctloupe.foundation.errors import IntensityError
from ctloupe.phantom.anatomies.lung import LUNG, TISSUE_HU
from ctloupe.phantom.config import PhantomConfig
from ctloupe.phantom.micro import micro_scan
from ctloupe.phantom.phantom import make_phantom
from ctloupe.prepare.specimen import specimen_mask, threshold_box
from ctloupe.volume.formats import read
from ctloupe.volume.volume import Volume

MICRO = Path(__file__).resolve().parents[3] / "shared" / "data" / "micro-ct-qim3d"


SPACING = (0.05, 0.05, 0.05)


def radius(size):
    y, x = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    return np.hypot(y, x)


def scanned(plane, depth=24, noise=250):
    values = plane[None] + np.random.default_rng(0).normal(0, noise, (depth, *plane.shape))
    return Volume(values.astype(np.int16), SPACING)


@pytest.mark.parametrize(("seed", "size"), [(1, 128), (3, 128), (5, 256)])
def test_plastic_cylinder_and_air_are_left_out_and_the_specimen_is_kept(seed, size):
    case = make_phantom("lung", (16, size, size), seed, PhantomConfig(cylinder=True))
    # The same scan of solid tissue without noise shows the outline of the specimen.
    solid = case.truth.with_data(np.full(case.truth.shape, TISSUE_HU, np.float32))
    no_blood = np.zeros(case.truth.shape, np.uint8)
    specimen = micro_scan(solid, no_blood, LUNG.micro, noise=0, rings=0, cylinder=True, seed=seed).array() > 9000
    mask = specimen_mask(case.micro)
    assert 0.3 < specimen.mean() < 0.6
    assert mask[specimen].mean() > 0.97
    assert mask[~specimen].mean() < 0.04
    assert not mask[:, radius(size) > 0.89].any()


def test_a_specimen_that_leans_on_the_wall_of_its_cylinder_is_kept_and_the_wall_is_not():
    size = 200
    y, x = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    leaning = np.hypot(y, x - 0.3) < 0.48
    grain = np.indices((size, size)).sum(0) // 2 % 2
    wall = (radius(size) > 0.8) & (radius(size) < 0.9)
    mask = specimen_mask(scanned(np.where(wall, 6000, np.where(leaning, 2000 + 9000 * grain, 2000))))
    assert mask[:, leaning].mean() > 0.95
    assert mask[:, wall].mean() < 0.01
    assert not mask[:, (x < -0.3) & ~wall].any()


@pytest.mark.parametrize("size", [96, 200])
def test_a_solid_rod_is_specimen_not_wall(size):
    mask = specimen_mask(scanned(np.where(radius(size) < 0.7, 9000, 2000)))
    assert mask[:, radius(size) < 0.68].all()
    assert not mask[:, radius(size) > 0.8].any()


def test_an_empty_cylinder_holds_no_specimen():
    wall = (radius(200) > 0.7) & (radius(200) < 0.8)
    with pytest.raises(IntensityError, match="air throughout"):
        specimen_mask(scanned(np.where(wall, 6000, 2000)))


def test_a_hollow_of_the_specimen_that_the_view_cuts_belongs_to_it_but_not_the_air_around():
    # Half a long bone: its cavity is open to the right side of the view, air fills two corners.
    y, x = np.meshgrid(np.linspace(-1, 1, 128), np.linspace(-2, 0, 128), indexing="ij")
    from_axis = np.hypot(y, x)
    mask = specimen_mask(scanned(np.where((from_axis > 0.5) & (from_axis < 1), 9000, 2000)))
    assert mask[:, from_axis < 0.98].mean() > 0.99
    assert mask[:, from_axis > 1.05].mean() < 0.01


@pytest.mark.skipif(not MICRO.is_dir(), reason="the real µCT crops of shared/data are not here")
def test_real_scans_of_a_shell_in_air_and_of_cement_without_air_around():
    shell = read(MICRO / "shell_225x128x128.tif", voxel_size=SPACING)
    mask = specimen_mask(shell)
    assert mask[shell.array() > 60].mean() > 0.999
    assert 0.1 < mask.mean() < 0.4
    assert specimen_mask(read(MICRO / "cement_128x128x128.tif", voxel_size=SPACING)).all()


@pytest.mark.skipif(not MICRO.is_dir(), reason="the real µCT crops of shared/data are not here")
def test_a_real_bone_keeps_its_marrow_and_loses_the_air_around():
    bone = read(MICRO / "bone_128x128x128.tif", voxel_size=SPACING)
    mask, values = specimen_mask(bone), bone.array()
    assert mask[values > 120].mean() > 0.999
    # The marrow is what lies right of the first bone of a row.
    marrow = np.maximum.accumulate(values > 120, axis=2)
    assert mask[marrow].mean() > 0.98
    # Narrow wedges of air between bone and the side of the view are filled.
    assert mask[~ndimage.binary_dilation(marrow, iterations=4)].mean() < 0.06


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "size"), [(1, 320), (2, 320), (12, 640)])
def test_a_view_that_lies_wholly_inside_the_specimen_is_all_mask(seed, size):
    assert specimen_mask(make_phantom("lung", (8, size, size), seed).micro).mean() > 0.99


def test_a_porous_ball_in_air_is_found_with_its_pores():
    random = np.random.default_rng(0)
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in (24, 96, 96)], indexing="ij")
    ball = z**2 + y**2 + x**2 < 0.5
    pores = ((20 * y).astype(int) % 4 == 0) & ((20 * x).astype(int) % 4 == 0) & (z**2 + y**2 + x**2 < 0.3)
    values = np.where(ball & ~pores, 9000, 2000) + random.normal(0, 150, ball.shape)
    mask = specimen_mask(Volume(values.astype(np.int16), (0.05, 0.05, 0.05)))
    assert mask[ball].mean() > 0.97
    assert mask[pores].mean() > 0.97
    assert mask[z**2 + y**2 + x**2 > 0.7].mean() < 0.01


def test_nothing_but_air_is_an_error_that_says_what_to_do():
    values = np.random.default_rng(0).normal(2000, 100, (8, 64, 64)).astype(np.int16)
    with pytest.raises(IntensityError, match="`micro_mask` none"):
        specimen_mask(Volume(values, (0.05, 0.05, 0.05)))


def test_the_box_holds_what_is_bright():
    values = np.zeros((6, 10, 12), np.int16)
    values[1:4, 2:5, 7:11] = 900
    assert threshold_box(Volume(values, (1, 1, 1))) == (slice(1, 4), slice(2, 5), slice(7, 11))
    assert threshold_box(Volume(values, (1, 1, 1)), 500) == (slice(1, 4), slice(2, 5), slice(7, 11))
    with pytest.raises(IntensityError):
        threshold_box(Volume(values, (1, 1, 1)), 5000)
    with pytest.raises(IntensityError, match="constant"):
        threshold_box(Volume(np.zeros((2, 3, 4)), (1, 1, 1)))
