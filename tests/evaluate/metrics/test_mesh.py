"""A mesh: power at the harmonics of the scan's grid, against the frequencies beside them."""

from math import gcd

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctloupe.evaluate.alignment import interpolated
from ctloupe.evaluate.metrics.mesh import MESH, MeshOfImage, tile_side
from ctloupe.evaluate.slices import ImageSlice, Reference, Setting
from ctloupe.volume.volume import Volume

SIGMA = 30.0


def gathered(planes, scale, mask=None):
    """What is gathered of an image of these slices; `mask` is on the grid of the scan."""
    shape = len(planes), planes[0].shape[0] // scale, planes[0].shape[1] // scale
    fine = np.asarray(planes)[:, : scale * shape[1], : scale * shape[2]]
    setting = Setting.of(shape, Volume(fine, (1, 1, 1)), mask, known=frozenset())
    found = MeshOfImage(setting)
    for z, plane in enumerate(fine):
        found.add(ImageSlice(np.float32(plane), Reference(setting, z, np.zeros(shape[1:], np.float32)), 1.0))
    return found


def mesh(planes, scale=8, mask=None):
    return gathered(planes, scale, mask).result()


def white(shape=(8, 256, 256), sigma=SIGMA, seed=0):
    return np.random.default_rng(seed).normal(0, sigma, shape)


def repeated(pattern, shape):
    """The pattern in every voxel of the scan, or in every square of its size."""
    return np.tile(pattern, (shape[1] // len(pattern) + 1, shape[2] // len(pattern) + 1))[: shape[1], : shape[2]]


def expected(pattern, scale):
    """Excess in dB by period of a pattern of period s over white noise, in tiles under a Hann window.

    A line of amplitude c has power |c|²·(Σw)²/Σw², which is 4/9·side² in two dimensions.
    """
    lines = np.abs(np.fft.fft2(repeated(pattern, (1, scale, scale))) / scale**2) ** 2
    by_period = {}
    for k in range(scale):
        for j in range(scale):
            by_period.setdefault(scale // gcd(k, j, scale), []).append(lines[k, j])
    gain = 4 / 9 * (scale * tile_side(scale)) ** 2 / SIGMA**2
    return {period: 10 * np.log10(1 + gain * np.mean(found)) for period, found in by_period.items() if period > 1}


def random_pattern(side):
    return 4 * np.random.default_rng(side).normal(size=(side, side))


@pytest.mark.parametrize(
    ("scale", "pattern"),
    [
        pytest.param(8, np.array([[5, -5], [-5, 5]]), id="checkerboard of period 2"),
        pytest.param(8, np.kron([[5, -5], [-5, 5]], np.ones((2, 2))), id="checkerboard of period 4"),
        pytest.param(8, np.tile([6, 0, -6, 0], (4, 1)), id="columns of period 4"),
        pytest.param(8, random_pattern(8), id="period s"),
        pytest.param(4, random_pattern(4), id="period s at scale 4"),
        pytest.param(3, random_pattern(3), id="period s at scale 3"),
        pytest.param(2, random_pattern(2), id="period s at scale 2"),
    ],
)
def test_a_pattern_of_known_amplitude_is_found_with_the_excess_that_the_window_gives_it(scale, pattern):
    image = white() + repeated(pattern, (8, 256, 256))
    found, wanted = gathered(image, scale), expected(pattern, scale)
    assert found.by_period() == pytest.approx(wanted, abs=0.7)
    assert found.result() == max(found.by_period().values()) > 3


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_noise_and_smooth_texture_have_about_none(scale):
    assert mesh(white(), scale) == pytest.approx(0, abs=0.7)
    assert -2 < mesh(gaussian_filter(10 * white(), (0, 1, 1)), scale) < 1


def test_bicubic_interpolation_has_none():
    scan = Volume(white((2, 40, 40)).astype(np.int16), (1, 1, 1))
    assert mesh(interpolated(scan, 8).array()) < 0.7


def test_it_is_seen_in_flat_tissue_beside_strong_texture():
    image = white()
    image[:, :, :128] *= 30
    image[:, :, 128:] += 2 * repeated(random_pattern(8), (8, 256, 128))
    assert mesh(image) > 4


def test_an_image_without_content_has_exactly_none():
    assert mesh(np.full((1, 64, 64), -1000.0)) == pytest.approx(0, abs=1e-9)


def test_a_ramp_and_a_step_across_the_grid_are_no_mesh():
    slope = np.add.outer(3.0 * np.arange(256), 5.0 * np.arange(256))
    assert mesh(white() + slope) == pytest.approx(mesh(white()), abs=0.05)
    step = np.where(np.arange(256) < 131, -900.0, 40.0)
    assert mesh(white() + step) < 0.7


def test_blocks_are_no_mesh_since_they_have_no_power_at_its_frequencies():
    assert mesh(np.kron(white((2, 32, 32)), np.ones((1, 8, 8)))) < 0


def test_only_what_lies_inside_the_mask_counts():
    image, mask = white(), np.zeros((8, 32, 32), bool)
    mask[:, :, :16] = True
    image[:, :, 128:] += 3 * repeated(random_pattern(8), (8, 256, 128))
    assert mesh(image, mask=mask) < 1 < 6 < mesh(image, mask=~mask)


@pytest.mark.parametrize("side", [1, 7])
def test_a_mask_without_room_for_a_tile_has_no_number(side):
    mask = np.zeros((8, 32, 32), bool)
    mask[:, :side, :] = True
    assert np.isnan(mesh(white(), mask=mask))
    assert np.isnan(mesh(white((1, 7 * 8, 40 * 8))))


def test_the_size_of_the_image_need_not_be_a_multiple_of_anything_but_the_scale():
    pattern, shape = random_pattern(3), (2, 3 * 41, 3 * 37)
    assert mesh(white(shape) + repeated(pattern, shape), 3) == pytest.approx(max(expected(pattern, 3).values()), abs=1)


def test_without_enlargement_there_is_no_grid_to_show():
    assert not MESH.applies(Setting(1, 1, (1, 1), frozenset()))
    assert MESH.applies(Setting(2, 1, (1, 1), frozenset()))


def test_near_the_truth_is_better_and_without_a_truth_near_0():
    assert MESH.prefers(0.9, 0.2, truth=0.8) and MESH.prefers(0.9, 6.0, truth=0.8)
    assert MESH.prefers(0.2, 0.9) and MESH.prefers(0.9, -6.0)
