"""What is added to an image is what its residual says beyond the noise, and nothing else."""

import numpy as np
import pytest
import torch

from ctloupe.enhance.scanner_correction import REACH, ScannerCorrection

EXPECTED = np.full(7, 100.0)


def residual(height, width, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 20, (height, width)).astype(np.float32))


@pytest.mark.parametrize("blur", [0.0, 0.4, 0.7])
def test_scanned_again_the_addition_is_the_explained_share_of_a_smooth_residual(blur):
    along = np.cos(2 * np.pi * np.arange(64) / 8)
    wave = torch.from_numpy(np.outer(along, np.ones(64)).astype(np.float32))
    correction = ScannerCorrection.of(blur, EXPECTED, 4 * EXPECTED, 4, reach=24)
    seen = -correction.residual(correction.added(wave), torch.zeros(64, 64))
    inner = slice(28, 36)
    assert seen[inner, inner].numpy() == pytest.approx(0.75 * wave[inner, inner].numpy(), abs=0.03)


def test_a_residual_that_noise_explains_is_left_alone():
    correction = ScannerCorrection.of(0.4, EXPECTED, 0.9 * EXPECTED, 4)
    assert correction.is_none
    assert not correction.added(residual(20, 20)).any()


def test_it_solves_the_equation_of_its_docstring():
    # The dense solution on a periodic grid, with the operator as a matrix made of its answers to single pixels.
    scale, side, blur, ratio = 2, 64, 0.5, 3.0
    correction = ScannerCorrection.of(blur, EXPECTED, ratio * EXPECTED, scale, reach=31)
    points = torch.zeros(1, 1, scale * side, scale * side)
    seen = torch.zeros(side, side)
    at = side // 2
    seen[at, at] = 1.0
    found = correction.added(seen).double().numpy()
    frequency = np.hypot(np.fft.fftfreq(scale * side)[:, None], np.fft.fftfreq(scale * side)[None]) * scale
    prior = (1 / 256 + frequency**2) ** -1.5
    adjoint = correction.operator.adjoint(seen[None, None])[0, 0].numpy()
    spread = np.fft.ifft2(np.fft.fft2(adjoint) * prior).real
    again = correction.operator.forward(torch.from_numpy(spread).float().view_as(points))[0, 0].numpy()
    # C Aᵀ (A C Aᵀ)⁻¹, of which the share 1 − 1/ratio is what the noise leaves.
    unknown = np.fft.ifft2(np.fft.fft2(seen.numpy()) ** 2 / np.fft.fft2(again)).real
    upsampled = np.zeros((scale * side, scale * side))
    upsampled[::scale, ::scale] = unknown
    shift = np.zeros_like(upsampled)
    shift[at * scale, at * scale] = 1.0
    expected = np.fft.ifft2(np.fft.fft2(spread) * np.fft.fft2(upsampled) / np.fft.fft2(shift)).real * (1 - 1 / ratio)
    near = slice((at - 10) * scale, (at + 10) * scale)
    assert found[near, near] == pytest.approx(expected[near, near], abs=0.02 * np.abs(expected).max())


def test_it_reaches_so_far_and_no_further():
    one = torch.zeros(40, 40)
    one[20, 20] = 1.0
    added = ScannerCorrection.of(0.4, EXPECTED, 2 * EXPECTED, 2).added(one)
    rows = np.flatnonzero(added.abs().sum(1).numpy())
    assert (rows.min(), rows.max()) == (2 * (20 - REACH), 2 * (20 + REACH) + 1)


def test_a_longer_reach_loses_less():
    lost = [ScannerCorrection.of(0.4, EXPECTED, 2 * EXPECTED, 2, reach=reach).lost for reach in (4, 8, 16)]
    assert lost == sorted(lost, reverse=True)
    assert 0 <= lost[2] < lost[0] < 0.5
