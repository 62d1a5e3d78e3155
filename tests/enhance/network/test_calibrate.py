"""Calibrated statistics: those of the sample, fixed, so that the network becomes local."""

import pytest
import torch
from torch import nn

from ctloupe.enhance.network.calibrate import FixedNorm, calibrated
from ctloupe.networks.generators import SubPixelGenerator


def network(scale=4):
    torch.manual_seed(0)
    return SubPixelGenerator(scale, width=16, blocks=2, first_kernel=3, last_kernel=3).eval()


def patches(n=6, size=12, seed=0):
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(seed)) - 0.5


def test_one_patch_calibrated_on_itself_gives_the_same_output():
    original, image = network(), patches(1)
    with torch.no_grad():
        assert torch.allclose(calibrated(original, image)(image), original(image), atol=1e-5)


def test_statistics_are_the_averages_over_patches_of_the_first_layer():
    original, sample = network(), patches(5)
    fixed = calibrated(original, sample, batch_size=2)
    with torch.no_grad():
        features = original.head[0](sample)
    layer = fixed.head[1]
    assert isinstance(layer, FixedNorm)
    assert torch.allclose(layer.mean.flatten(), features.mean((2, 3)).mean(0), atol=1e-6)
    assert torch.allclose(layer.variance.flatten(), features.var((2, 3), correction=0).mean(0), rtol=1e-5)


def test_the_result_does_not_depend_on_how_the_sample_is_batched():
    sample = patches(7)
    one, other = calibrated(network(), sample, batch_size=1), calibrated(network(), sample, batch_size=16)
    with torch.no_grad():
        assert torch.allclose(one(sample), other(sample), atol=1e-5)


def test_the_original_network_is_left_as_it_was():
    original = network()
    calibrated(original, patches())
    assert sum(isinstance(layer, nn.InstanceNorm2d) for layer in original.modules()) == 8
    assert not any(isinstance(layer, FixedNorm) for layer in original.modules())


def test_a_calibrated_network_is_local_and_the_original_is_not():
    original = network()
    local = calibrated(original, patches())
    image = patches(1, 48, seed=3)
    changed = image.clone()
    changed[..., :4, :4] += 1.0
    far = (..., slice(-40, None), slice(-40, None))
    with torch.no_grad():
        assert torch.equal(local(image)[far], local(changed)[far])
        assert not torch.equal(original(image)[far], original(changed)[far])


def test_a_tile_with_halo_equals_the_whole():
    local = calibrated(network(), patches())
    image = patches(1, 40, seed=5)
    halo = 12
    with torch.no_grad():
        whole = local(image)
        tile = local(image[..., :, 16 - halo : 24 + halo])
    inside = tile[..., :, halo * 4 : (halo + 8) * 4]
    assert torch.allclose(whole[..., :, 64:96], inside, atol=1e-5)


def test_calibration_without_patches_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        calibrated(network(), patches(0))
