"""Scanners of the second family: what they do to edges, to places and to the mean, and what their noise is like."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import center_of_mass, shift
from skimage.transform import radon

from ctloupe.foundation.errors import GeometryError, OptionError
from ctloupe.scanner.body import CHEST, WATER, Ellipse, line_integrals
from ctloupe.scanner.motion import Motion
from ctloupe.scanner.noise import NoiseSpectrum, exact_noise, radial_spectrum
from ctloupe.scanner.other_scanner import PARTS, OtherScanner, with_parts
from ctloupe.scanner.parallel_beam import ParallelBeam
from ctloupe.scanner.projection_noise import projection_noise
from ctloupe.scanner.ringing import Ringing
from ctloupe.scanner.scanner import Scanner

FINE = (0.2, 0.1, 0.1)
VOXEL = (0.8, 0.4, 0.4)
USUAL = Scanner(VOXEL, 0.1, 20.0)


def blob(shape, middle, width=3.0):
    """A smooth ball of 1000 HU in air, where no other voxel is."""
    squares = sum((at - one) ** 2 for at, one in zip(np.indices(shape), middle, strict=True))
    return 1000 * np.exp(-squares / (2 * width**2))


@pytest.mark.parametrize("boost", [0.0, 3.0, 6.0])
def test_the_transfer_function_measured_at_an_edge_is_the_one_asked_for(boost):
    ringing = Ringing(0.6, boost)
    edge = np.zeros((4, 4, 1024))
    edge[:, :, 512:] = 1000
    # An edge that is seen on four grids, each a fine voxel further on, is seen four times as finely.
    scanner = OtherScanner(USUAL, ringing)
    seen = [scanner.seen(np.roll(edge, -step, axis=2), FINE)[0, 0, 30:-30] for step in range(4)]
    line = np.diff(np.stack(seen, axis=1).ravel())
    measured = np.abs(np.fft.fft(line, 4096)) / abs(line.sum())
    frequency = np.fft.fftfreq(4096) * 4
    asked = ringing.transfer(frequency)
    # A clinical voxel is the mean of four fine ones, and a fine edge is looked at in steps of a fine voxel.
    mean_of_four = np.abs(np.sin(np.pi * frequency) / (4 * np.sin(np.pi * frequency / 4) + (frequency == 0)))
    mean_of_four[frequency == 0] = 1
    below = np.abs(frequency) < 0.9
    assert np.abs(measured - asked * mean_of_four)[below].max() < 0.01


def test_the_peak_of_a_ringing_kernel_is_the_highest_value_and_it_ends_at_the_cut_off():
    frequency = np.linspace(0, 1, 100001)
    for boost in (0.0, 2.0, 4.0, 6.0):
        assert Ringing(0.6, boost).transfer(frequency).max() == pytest.approx(Ringing(0.6, boost).peak, abs=1e-6)
    found = Ringing(0.6, 6.0).transfer(frequency)
    assert found[0] == 1 and found.max() > 1.3 and (found[frequency >= 0.6] == 0).all() and found.min() >= 0


def test_an_edge_overshoots_where_a_gaussian_scanner_leaves_none():
    edge = np.zeros((4, 64, 64), np.float32)
    edge[:, :, 32:] = 1000
    usual, ringing = OtherScanner(USUAL).seen(edge, FINE), with_parts(USUAL, ["ringing"]).seen(edge, FINE)
    assert usual.max() < 1000.01 and usual.min() > -0.01
    assert ringing.max() > 1080 and ringing.min() < -80


@pytest.mark.parametrize("parts", [(), *((name,) for name in PARTS), ("ringing", "double-edge", "streaks")])
def test_what_is_seen_stays_in_its_place_and_keeps_its_mean(parts):
    fine = blob((8, 96, 80), (3.5, 43.2, 38.9))
    seen = with_parts(USUAL, parts).seen(fine, FINE)
    middle = np.array(center_of_mass(seen))
    expected = (np.array(center_of_mass(fine)) - 1.5) / 4
    assert np.abs(middle - expected).max() < 1e-4
    assert seen.mean() == pytest.approx(fine.mean(), rel=1e-6)
    flat = with_parts(USUAL, parts).seen(np.full((4, 16, 24), -777.0), FINE)
    assert np.abs(flat + 777).max() < 1e-9


def test_two_states_are_the_mean_of_two_places_and_an_even_movement_that_of_all_between():
    plane = blob((1, 88, 96), (0, 40.3, 50.8))[0]
    fine = np.tile(plane, (4, 1, 1))
    unmoved = OtherScanner(replace(USUAL, blur=0.0))
    along = np.array([np.sin(np.radians(120)), np.cos(np.radians(120))])

    def at(voxels):
        return unmoved.seen(np.tile(shift(plane, along * voxels * 4), (4, 1, 1)), FINE)

    states = replace(unmoved, motion=Motion(2.5, 120.0, states=True)).seen(fine, FINE)
    assert np.abs(states - (at(-1.25) + at(1.25)) / 2).max() < 1
    even = replace(unmoved, motion=Motion(2.5, 120.0)).seen(fine, FINE)
    between = (np.arange(12) + 0.5) / 12 * 2.5 - 1.25
    assert np.abs(even - np.mean([at(voxels) for voxels in between], axis=0)).max() < 1
    assert np.abs(OtherScanner(unmoved.usual, motion=Motion(0.0)).seen(fine, FINE) - at(0)).max() < 1e-9


def test_rays_through_a_body_lose_what_a_radon_transform_of_its_picture_loses():
    body = (Ellipse((10.0, -20.0), (30.0, 50.0), 1000.0), Ellipse((0.0, 0.0), (12.0, 8.0), 500.0))
    y, x = np.indices((161, 161)) - 80.0
    picture = np.zeros((161, 161))
    for part in body:
        inside = ((y - part.middle[0]) / part.half[0]) ** 2 + ((x - part.middle[1]) / part.half[1]) ** 2 < 1
        picture[inside] += WATER * part.hu / 1000
    for degrees in (0, 35, 90, 140):
        # scikit-image counts angles from x towards the top of a picture, whose rows go down.
        oracle = radon(picture, [-degrees], circle=False)[:, 0]
        at = np.arange(len(oracle)) - len(oracle) // 2
        found = line_integrals(body, np.radians(degrees), at.astype(float))
        assert np.abs(found - oracle).mean() < 0.01
        assert np.abs(found.sum() - oracle.sum()) < 0.01 * oracle.sum()


def test_projection_and_backprojection_are_adjoint_and_keep_the_mass():
    beam = ParallelBeam((13, 18), (0.5, 0.7), 0.2, 1.0)
    random = np.random.default_rng(0)
    image = random.random((13, 18))
    seen = beam.project(image)
    rays = random.random(seen.shape)
    area, step = 0.5 * 0.7 / 0.2, np.pi / len(beam.angles)
    assert np.vdot(seen, rays) * step == pytest.approx(np.vdot(image, beam.backproject(rays)) * area)
    assert seen.sum(1) * 0.2 == pytest.approx(np.full(len(seen), image.sum() * 0.5 * 0.7))


@pytest.fixture(scope="module")
def flat():
    return np.full((6, 48, 48), -850.0, np.float32)


@pytest.mark.parametrize("spectrum", [NoiseSpectrum(1.0, 0.3), Ringing()])
def test_noise_behind_no_body_has_the_spectrum_that_was_asked_for(flat, spectrum):
    noise = projection_noise(flat, (0.5, 0.5), 20.0, spectrum, (), np.random.default_rng(1))
    # The interpolation between rays takes a tenth.
    assert noise.std() == pytest.approx(18, rel=0.06)
    assert np.abs(noise.mean((1, 2))).max() < 1e-3
    alike = exact_noise((60, 48, 48), 20.0, spectrum, np.random.default_rng(2))
    # Mean over bands of five frequencies: a few slices have few waves of each.
    found, asked = (radial_spectrum(one)[0][:20].reshape(4, 5).mean(1) for one in (noise, alike))
    assert np.abs(10 * np.log10(found / asked)).max() < 1.5


def directions(noise):
    """Share of the power whose waves go up and down the slice, over that whose waves go along its rows."""
    power = (np.abs(np.fft.fft2(noise)) ** 2).mean(0)
    along_y, along_x = np.abs(np.fft.fftfreq(noise.shape[1]))[:, None], np.abs(np.fft.fftfreq(noise.shape[2]))[None]
    return power[along_y > 3 * along_x].sum() / power[along_x > 3 * along_y].sum()


def test_noise_is_stronger_in_the_direction_in_which_a_body_is_wide(flat):
    found = {}
    for name in ("wide-body", "streaks"):
        scanner = with_parts(Scanner((1.0, 0.6, 0.6), 0.3, 20.0), [name])
        noise = scanner.noise(flat[:3], np.random.default_rng(2))
        assert noise.std() == pytest.approx(20, rel=1e-3) and np.abs(noise.mean((1, 2))).max() < 1e-3
        found[name] = directions(noise)
    round_body = (Ellipse((0.0, 0.0), (100.0, 100.0), 1000.0),)
    alike = projection_noise(flat[:3], (0.6, 0.6), 20.0, NoiseSpectrum(), round_body, np.random.default_rng(2))
    assert 0.8 < directions(alike) < 1.25
    assert found["wide-body"] > 2 and found["streaks"] > 10 * found["wide-body"]


def test_noise_is_strongest_in_the_middle_of_a_body(flat):
    body = (Ellipse((0.0, 0.0), (90.0, 150.0), 1000.0),)
    noise = projection_noise(flat, (6.0, 6.0), 20.0, NoiseSpectrum(), body, np.random.default_rng(3))
    middle, corners = noise[:, 18:30, 18:30], np.concatenate([noise[:, :8, :8], noise[:, -8:, -8:]])
    assert middle.std() > 1.5 * corners.std()


def test_what_is_dense_in_the_slice_makes_streaks_between_it():
    dense = np.zeros((4, 48, 48), np.float32)
    dense[:, 20:28, 6:14] = dense[:, 20:28, 34:42] = 12000
    noise = projection_noise(dense, (1.0, 1.0), 20.0, NoiseSpectrum(), (), np.random.default_rng(4))
    assert noise[:, 20:28, 18:30].std() > 1.5 * noise[:, 4:12, 18:30].std()


def test_few_photons_leave_numbers_and_no_infinity(flat):
    scanner = OtherScanner(Scanner((1.0, 0.5, 0.5), 0.2, 1e5), body=CHEST)
    noise = scanner.noise(flat[:1], np.random.default_rng(5))
    assert np.isfinite(noise).all() and noise.std() == pytest.approx(1e5, rel=1e-3)


def test_parts_that_replace_the_same_or_do_not_exist_are_refused():
    with pytest.raises(OptionError, match="`scanner` rings: expected one or several of ringing, wide-body"):
        with_parts(USUAL, ["rings"])
    with pytest.raises(OptionError, match="`scanner` wide-body streaks: streaks replaces what another"):
        with_parts(USUAL, ["wide-body", "streaks"])
    with pytest.raises(GeometryError, match="whole multiples"):
        with_parts(USUAL, ["ringing"]).seen(np.zeros((2, 2, 2)), (0.8, 0.3, 0.3))
    for wrong in ({"cut_off": 0.0}, {"boost": -1.0}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            Ringing(**wrong)
    with pytest.raises(OptionError, match="`distance` -1"):
        Motion(-1.0)
