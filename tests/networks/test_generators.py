"""Generators: sizes, the paper's parameter counts, gradients, and a start without checkerboard."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.blocks import initialise_icnr, initialise_normal
from ctloupe.networks.discriminators import PatchDiscriminator
from ctloupe.networks.generators import (
    ShrinkingGenerator,
    StridedGenerator,
    SubPixelGenerator,
)


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameter_counts_are_those_of_jmi_table_5():
    g1, g2, discriminator = SubPixelGenerator(), ShrinkingGenerator(), PatchDiscriminator()
    assert (count(g1), count(g2), count(discriminator)) == (802_222, 12_936_769, 2_762_689)
    assert count(g1) + count(g2) + 2 * count(discriminator) == 19_264_369


@pytest.mark.parametrize("scale", [2, 4, 8, 16])
@pytest.mark.parametrize("size", [(8, 8), (9, 13)])
def test_generators_change_the_size_by_the_scale(scale, size):
    height, width = size
    low, high = torch.rand(2, 1, height, width), torch.rand(2, 1, scale * height, scale * width)
    up = SubPixelGenerator(scale, width=16, blocks=1)
    assert up(low).shape == high.shape
    assert StridedGenerator(scale, width=8, blocks=1)(high).shape == low.shape
    if (scale * height) % 4 == 0 and (scale * width) % 4 == 0:
        assert ShrinkingGenerator(scale, width=4, blocks=1)(high).shape == low.shape


@pytest.mark.parametrize(
    ("network", "size"),
    [
        (SubPixelGenerator(4, width=16, blocks=2), 12),
        (SubPixelGenerator(4, width=16, blocks=2, bicubic_skip=True), 12),
        (ShrinkingGenerator(4, width=4, blocks=2), 48),
        (StridedGenerator(4, width=8, blocks=2), 48),
        (PatchDiscriminator(width=4), 32),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, torch.nn.Module) else str(value),
)
def test_gradient_reaches_every_weight_and_output_is_finite(network, size):
    initialise_normal(network)
    image = torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    output = network(image)
    assert torch.isfinite(output).all()
    (output * torch.rand(output.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
    normalised_biases = 0
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        if parameter.grad.abs().max() == 0:
            normalised_biases += name.endswith("bias")
            assert name.endswith("bias"), f"{name} gets no gradient"
    assert normalised_biases < len(list(network.parameters())) / 2 + 1


def test_outputs_stay_in_the_unit_range():
    network = SubPixelGenerator(4, width=16, blocks=1, bicubic_skip=True)
    output = network(torch.rand(1, 1, 16, 16) * 2 - 1)
    assert output.min() >= -1
    assert output.max() <= 1


def test_icnr_starts_without_a_checkerboard():
    network = SubPixelGenerator(4, width=16, blocks=1)
    torch.manual_seed(0)
    initialise_normal(network)
    initialise_icnr(network)
    features = network.tail(torch.rand(1, 16, 6, 6))
    blocks = features.unfold(2, 2, 2).unfold(3, 2, 2)
    assert torch.allclose(blocks, blocks[..., :1, :1].expand_as(blocks), atol=1e-6)


def test_a_scale_that_is_no_power_of_two_is_refused():
    with pytest.raises(ValueError, match="2, 4, 8 or 16"):
        SubPixelGenerator(3)
    with pytest.raises(ValueError, match="divisible"):
        SubPixelGenerator(8, width=12)


def test_the_discriminator_refuses_images_too_small_to_normalise():
    assert PatchDiscriminator(4)(torch.rand(1, 1, 24, 24)).shape == (1, 1, 1, 1)
    with pytest.raises(ValueError, match="at least 24"):
        PatchDiscriminator(4)(torch.rand(1, 1, 23, 23))


@settings(max_examples=20, deadline=None)
@given(
    slope_y=st.floats(-3, 3),
    slope_x=st.floats(-3, 3),
    scale=st.sampled_from([2, 4, 8, 16]),
    height=st.integers(6, 11),
    width=st.integers(6, 11),
)
def test_bicubic_reproduces_a_ramp_at_voxel_centres(slope_y, slope_x, scale, height, width):
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    fine = enlarge_bicubic((slope_y * y + slope_x * x).float()[None, None], scale)[0, 0]
    at_y = (torch.arange(scale * height) + 0.5) / scale - 0.5
    at_x = (torch.arange(scale * width) + 0.5) / scale - 0.5
    expected = slope_y * at_y[:, None] + slope_x * at_x[None, :]
    inside = (slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))
    assert torch.allclose(fine[inside], expected[inside], atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(
    scale=st.integers(1, 9),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    images=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    part=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
)
def test_bicubic_where_nothing_is_learnt_is_what_pytorch_interpolates(scale, height, width, images, part, dtype):
    whole = torch.randn(*images, height + 3, width + 2, generator=torch.Generator().manual_seed(0), dtype=dtype)
    image = whole[..., 3:, 2:] if part else whole[..., 3:, 2:].contiguous()
    exact = image if dtype == torch.float64 else image.float()
    size = scale * height, scale * width
    expected = torch.nn.functional.interpolate(exact, size=size, mode="bicubic", antialias=True)
    with torch.inference_mode():
        found = enlarge_bicubic(image, scale)
    assert found.dtype == expected.dtype
    assert torch.allclose(found, expected, rtol=0, atol=1e-12 if dtype == torch.float64 else 1e-5)


def test_bicubic_agrees_with_keys_kernel_written_out():
    rng = np.random.default_rng(3)
    image = rng.normal(size=(1, 12)).astype(np.float32).repeat(12, axis=0)

    def keys(distance: np.ndarray) -> np.ndarray:
        d = np.abs(distance)
        near = 1.5 * d**3 - 2.5 * d**2 + 1
        far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
        return np.where(d <= 1, near, np.where(d < 2, far, 0))

    at = (np.arange(48) + 0.5) / 4 - 0.5
    expected = keys(at[:, None] - np.arange(12)[None]) @ image[0]
    found = enlarge_bicubic(torch.from_numpy(image)[None, None], 4)[0, 0, 24].numpy()
    assert np.abs(found - expected)[8:-8].max() < 1e-5


def test_bicubic_keeps_a_smooth_structure_in_its_place():
    y, x = np.mgrid[:24, :24]
    blob = np.exp(-((y - 11.3) ** 2 + (x - 9.6) ** 2) / 30).astype(np.float32)
    fine = enlarge_bicubic(torch.from_numpy(blob)[None, None], 4)[0, 0].numpy()
    rows, columns = np.mgrid[:96, :96]
    spline = map_coordinates(blob, [(rows + 0.5) / 4 - 0.5, (columns + 0.5) / 4 - 0.5], order=3, mode="nearest")
    assert np.abs(fine - spline)[8:-8, 8:-8].max() < 5e-3


def test_an_enlargement_that_is_traced_in_inference_mode_follows_its_input():
    with torch.inference_mode():
        first, second = torch.rand(1, 1, 9, 12), torch.rand(2, 1, 7, 16)
        traced = torch.jit.trace(lambda image: enlarge_bicubic(image, 4), first)
        torch.testing.assert_close(traced(second), enlarge_bicubic(second, 4), atol=1e-5, rtol=1e-5)
