"""Errors that keep step with the grid of the scan have mesh power; others have next to none."""

import pytest
import torch

from ctloupe.losses.mesh import mesh_power


def test_a_pattern_that_repeats_with_the_voxels_has_all_its_power():
    pattern = torch.randn(1, 1, 8, 8)
    pattern -= pattern.mean()
    assert mesh_power(pattern.tile(1, 1, 16, 16), 8).item() == pytest.approx(pattern.square().mean().item(), rel=1e-5)


def test_a_constant_and_what_is_the_same_within_a_voxel_have_none():
    assert mesh_power(torch.full((2, 1, 64, 64), 0.3), 8).item() < 1e-12
    steps = torch.randn(1, 1, 16, 16).repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert mesh_power(steps, 4).item() < 1e-12


def test_white_noise_has_what_averaging_leaves():
    torch.manual_seed(0)
    noise = torch.randn(8, 1, 256, 256)
    assert mesh_power(noise, 4, reach=8).item() == pytest.approx(1 / 64, rel=0.15)


def test_an_image_narrower_than_the_reach_is_taken_whole():
    assert torch.isfinite(mesh_power(torch.randn(1, 1, 12, 20), 4, reach=8))


def test_of_two_errors_only_what_both_have_counts():
    torch.manual_seed(0)
    mesh = 0.1 * torch.randn(1, 1, 4, 4).repeat(1, 1, 16, 16)
    one, other = (torch.randn(8, 1, 64, 64) for _ in range(2))
    assert abs(float(mesh_power(one, 4, other=other))) < 0.1 * float(mesh_power(one, 4))
    alone = float(mesh_power(mesh, 4))
    assert float(mesh_power(one + mesh, 4, other=other + mesh)) == pytest.approx(alone, rel=0.3)
