"""Scanners drawn for training scan as they say."""

from dataclasses import replace

import pytest
import torch

from ctloupe.scanner.tensor_draw import DrawnScanners, ScannerRange, near


def scanner(count, **values):
    numbers = {"blur": 0.0, "noise": 0.0, "rise": 0.0, "roll_off": 1.0} | values
    return DrawnScanners(*(torch.full((count,), numbers[name]) for name in ("blur", "noise", "rise", "roll_off")))


def test_without_blur_and_noise_a_scan_is_the_mean_of_each_voxel():
    fine = torch.rand(2, 1, 32, 32) - 0.5
    found = scanner(2).scanned(fine, 4)
    assert torch.allclose(found, torch.nn.functional.avg_pool2d(fine, 4), atol=1e-6)


def test_noise_has_the_level_of_its_scanner():
    drawn = DrawnScanners(torch.zeros(2), torch.tensor([0.02, 0.08]), torch.ones(2), torch.full((2,), 0.3))
    torch.manual_seed(0)
    levels = drawn.scanned(torch.zeros(2, 1, 256, 256), 4).std((1, 2, 3))
    assert levels.tolist() == pytest.approx([0.02, 0.08], rel=0.06)


def test_each_image_is_blurred_by_its_own_scanner():
    point = torch.zeros(2, 1, 128, 128)
    point[..., 64, 64] = 1.0
    drawn = DrawnScanners(torch.tensor([0.5, 0.9]), torch.zeros(2), torch.zeros(2), torch.ones(2))
    low = drawn.scanned(point, 4)[:, 0].sum(1)
    at = torch.arange(32) - (64 - 1.5) / 4
    variance = (low * at.square()).sum(1) / low.sum(1)
    assert variance.tolist() == pytest.approx([0.5**2 + 1 / 12, 0.9**2 + 1 / 12], abs=0.02)


def sharpened(blur, overshoot):
    kernel = DrawnScanners(torch.tensor([blur]), torch.zeros(1), torch.zeros(1), torch.ones(1))
    return replace(kernel, overshoot=torch.tensor([overshoot]))


def test_a_sharp_kernel_overshoots_at_an_edge_and_keeps_the_mean():
    edge = torch.zeros(1, 1, 128, 128)
    edge[..., 64:] = 0.5
    plain, sharp = (sharpened(0.5, overshoot).scanned(edge, 4)[0, 0, 16] for overshoot in (0.0, 1.5))
    assert plain.max() <= 0.5 + 1e-6 and plain.min() >= -1e-6
    # By more than a tenth of the step.
    assert 0.55 < sharp.max() < 0.65 and -0.15 < sharp.min() < -0.05
    assert float(sharp.mean()) == pytest.approx(float(plain.mean()), abs=1e-4)


def test_a_sharp_kernel_is_told_as_the_blur_that_is_alike_at_a_middle_frequency():
    kernel = sharpened(0.7, 0.4)
    wave = 0.5 * torch.sin(2 * torch.pi * 0.25 * (torch.arange(256) + 0.5) / 4).expand(1, 1, 256, 256).contiguous()
    told = float(kernel.numbers()[0, 0])
    assert 0.3 < told < 0.6
    alike = sharpened(told, 0.0).scanned(wave, 4)[..., 16:-16]
    assert torch.allclose(kernel.scanned(wave, 4)[..., 16:-16], alike, atol=5e-3)
    assert float(sharpened(0.1, 0.8).numbers()[0, 0]) == 0


def test_ranges_and_neighbourhoods_are_kept():
    torch.manual_seed(0)
    drawn = ScannerRange((0.2, 0.9), (0.0, 0.1)).draw(1000, torch.zeros(1)).numbers()
    for column, (low, high) in zip(drawn.T, ((0.2, 0.9), (0.0, 0.1), (0.0, 1.0), (0.2, 1.0)), strict=True):
        assert low <= column.min() and column.max() <= high
        assert column.mean().item() == pytest.approx((low + high) / 2, rel=0.1)
    around = near(torch.tensor([0.5, 0.1, 1.0, 0.3]), torch.tensor([0.1, 0.0, 0.0, 0.5]), 100).numbers()
    assert around[:, 0].min() >= 0.45 and around[:, 0].max() <= 0.55 and torch.all(around[:, 1] == 0.1)
