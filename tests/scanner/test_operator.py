"""The scanner as an operator on arrays and tensors, with its adjoint, against independent oracles."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d
from skimage.measure import block_reduce

from ctloupe.foundation.errors import GeometryError, OptionError
from ctloupe.scanner.noise import NoiseSpectrum
from ctloupe.scanner.operator import ScannerOperator
from ctloupe.scanner.point_spread import gaussian_taps, spread
from ctloupe.scanner.scanner import KERNELS, Scanner
from ctloupe.scanner.slice_profile import SliceProfile
from ctloupe.scanner.tensor_operator import TensorOperator, coloured, noise_amplitude
from ctloupe.scanner.tensor_operator import block_mean as tensor_block_mean
from ctloupe.scanner.voxel import block_mean, block_mean_adjoint

scanners = st.builds(
    lambda factors, fine, blur, thickness, softness: (
        Scanner(
            tuple(f * s for f, s in zip(factors, fine, strict=True)),
            blur * factors[2] * fine[2],
            profile=SliceProfile(thickness * factors[0] * fine[0], softness),
        ),
        fine,
    ),
    factors=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)),
    fine=st.tuples(st.floats(0.1, 1), st.floats(0.1, 0.2), st.floats(0.1, 0.2)),
    blur=st.sampled_from([0.0, 0.2, 0.5, 1.3]),
    thickness=st.floats(0.5, 2),
    softness=st.sampled_from([0.0, 0.1, 0.3]),
)
sizes = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))
radii = st.sampled_from([None, 0, 3, 9])


def pair(operator, size, seed=0):
    """A fine and a coarse image of random numbers for an operator."""
    random = np.random.default_rng(seed)
    fine = tuple(length * factor for length, factor in zip(size, operator.factors, strict=True))
    return random.normal(size=fine), random.normal(size=size)


@settings(max_examples=60, deadline=None)
@given(made=scanners, size=sizes, radius=radii)
def test_the_adjoint_is_the_transpose_for_every_shape(made, size, radius):
    operator = ScannerOperator(*made, radius)
    x, y = pair(operator, size)
    seen, back = operator.forward(x), operator.adjoint(y)
    assert seen.shape == y.shape and back.shape == x.shape
    assert seen.dtype == back.dtype == np.float64
    scale = np.linalg.norm(seen) * np.linalg.norm(y) + 1e-9
    assert abs(np.vdot(seen, y) - np.vdot(x, back)) < 1e-13 * scale + 1e-13


TIE = Scanner((1.0, 0.125, 0.5112508198783183), 0.25562540993915916), (1.0, 0.125, 0.17041693995943946)
"""Three standard deviations and a half are a whole number of fine voxels, but for rounding."""


@settings(max_examples=40, deadline=None)
@example(made=TIE, size=(1, 1, 1), radius=None)
@given(made=scanners, size=sizes, radius=radii)
def test_tensors_and_arrays_agree_forwards_and_backwards(made, size, radius):
    scanner, fine = made
    operator = ScannerOperator(scanner, fine, radius)
    x, y = pair(operator, size)
    tensors = TensorOperator.of([scanner], fine, x.shape[0], radius=radius, like=torch.zeros(0, dtype=torch.float64))
    assert np.allclose(tensors.forward(torch.from_numpy(x)[None])[0], operator.forward(x), atol=1e-12)
    assert np.allclose(tensors.adjoint(torch.from_numpy(y)[None])[0], operator.adjoint(y), atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(made=scanners, size=sizes)
def test_constants_are_kept_to_the_border(made, size):
    operator = ScannerOperator(*made)
    x, _ = pair(operator, size)
    assert np.allclose(operator.forward(np.full_like(x, -777)), -777)


def test_the_operator_is_the_dense_matrix_of_its_three_parts():
    scanner = Scanner((0.6, 0.4, 0.6), 0.25, profile=SliceProfile(0.6, 0.0))
    operator = ScannerOperator(scanner, (0.3, 0.2, 0.2))
    rows, columns, factors = 6, 9, (2, 2, 3)
    assert operator.factors == factors

    def along(length, sigma, factor):
        """Blur with repeated ends by plain loops, then the average, as a matrix."""
        matrix = np.zeros((length // factor, length))
        radius = int(3 * sigma + 0.5)
        kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
        kernel /= kernel.sum()
        for out in range(length):
            for at, weight in zip(range(out - radius, out + radius + 1), kernel, strict=True):
                matrix[out // factor, min(max(at, 0), length - 1)] += weight / factor
        return matrix

    depth = np.kron(np.eye(2), np.full((1, 2), 0.5))
    dense = np.kron(np.kron(depth, along(rows, 0.25 / 0.2, 2)), along(columns, 0.25 / 0.2, 3))
    x, y = pair(operator, (2, 3, 3))
    assert np.allclose(operator.forward(x).ravel(), dense @ x.ravel(), atol=1e-13)
    assert np.allclose(operator.adjoint(y).ravel(), dense.T @ y.ravel(), atol=1e-13)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 4.2])
def test_the_point_spread_is_scipys_gaussian_with_repeated_borders(sigma):
    image = np.random.default_rng(0).normal(size=(2, 5, 20)).astype(np.float32)
    expected = gaussian_filter1d(image, sigma, axis=2, mode="nearest", truncate=3.0)
    assert np.array_equal(spread(image, gaussian_taps(sigma), 2), expected)


def test_block_means_agree_with_scikit_image_and_between_arrays_and_tensors():
    image = np.random.default_rng(0).normal(size=(8, 12))
    assert np.allclose(block_mean(image, (2, 3), np.float64), block_reduce(image, (2, 3), np.mean))
    means = tensor_block_mean(torch.from_numpy(image)[None, None], 4)[0, 0]
    assert np.allclose(means, block_mean(image, 4, np.float64))
    assert block_mean(image, 4).dtype == np.float32
    assert block_mean_adjoint(np.ones((2, 3)), 4).sum() == pytest.approx(6)
    with pytest.raises(ValueError, match="blocks of 5×5"):
        block_mean(image, 5)


def test_every_scanner_of_a_batch_acts_on_its_own_image():
    fine = (0.3, 0.1, 0.1)
    batch = [
        Scanner((0.9, 0.4, 0.4), blur, profile=SliceProfile(thickness))
        for blur, thickness in ((0.0, 0.9), (0.2, 0.5), (0.5, 1.4))
    ]
    x = np.random.default_rng(0).normal(size=(3, 9, 24, 20))
    operator = TensorOperator.of(batch, fine, 9, like=torch.zeros(0, dtype=torch.float64))
    seen = operator.forward(torch.from_numpy(x))
    for one, image, found in zip(batch, x, seen, strict=True):
        assert np.allclose(found, ScannerOperator(one, fine).forward(image), atol=1e-12)


def test_gradients_go_through_image_and_blur():
    image = torch.rand(2, 1, 4, 8, dtype=torch.float64, requires_grad=True)
    blur = torch.tensor([[0.3, 0.4], [0.6, 0.5]], dtype=torch.float64, requires_grad=True)

    def seen(fine, spread):
        return TensorOperator((4, 4), spread, radius=5).forward(fine)

    assert torch.autograd.gradcheck(seen, (image, blur))
    operator = TensorOperator((4, 4), blur.detach())
    target = torch.rand(2, 1, 1, 2, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((operator.forward(image) * target).sum(), image)
    assert torch.allclose(gradient, operator.adjoint(target), atol=1e-14)


def test_noise_on_tensors_is_that_on_arrays_for_every_scanner_of_a_batch():
    shapes = [NoiseSpectrum(1.0, 0.3), NoiseSpectrum(0.0, 0.6)]
    rise, roll_off = (torch.tensor([getattr(one, name) for one in shapes]) for name in ("rise", "roll_off"))
    amplitude = noise_amplitude(rise, roll_off, 12, 15)
    for one, found in zip(shapes, amplitude, strict=True):
        assert np.allclose(found[0], one.amplitude(12, 15), rtol=1e-4)
    white = torch.randn(2, 1, 12, 15)
    assert coloured(white, amplitude).shape == white.shape


def test_voxels_must_be_whole_multiples_and_a_batch_must_share_them():
    with pytest.raises(GeometryError, match="whole multiples"):
        ScannerOperator(Scanner((1.0, 0.5, 0.5), 0.1), (1.0, 0.3, 0.3))
    with pytest.raises(ValueError, match="share"):
        TensorOperator.of([Scanner((1, 1, 1), 0), Scanner((2, 1, 1), 0)], (1, 1, 1), 2)


def test_named_kernels_go_from_smooth_to_sharp_and_others_are_refused():
    voxel, frequency = (1.0, 0.6, 0.6), np.array([0.0, 0.4, 0.8])
    kept = [Scanner.with_kernel(name, voxel).transfer(frequency) for name in ("smooth", "standard", "sharp")]
    assert all(one[0] == 1 for one in kept)
    assert (kept[0] < kept[1])[1:].all() and (kept[1] < kept[2])[1:].all()
    assert Scanner.with_kernel("smooth", voxel).fwhm == pytest.approx(KERNELS["smooth"].fwhm * 0.6)
    with pytest.raises(OptionError, match="smooth, standard, sharp"):
        Scanner.with_kernel("bone", voxel)


def test_the_transfer_function_is_what_the_operator_does_to_a_sine():
    scanner = Scanner((1.0, 0.8, 0.8), 0.3)
    operator = ScannerOperator(scanner, (1.0, 0.1, 0.1), radius=40)
    frequency = 0.25
    x = (np.arange(1600) + 0.5) * 0.1
    seen = operator.forward(np.tile(np.sin(2 * np.pi * frequency * x), (1, 8, 1)))[0, 0]
    expected = np.sin(2 * np.pi * frequency * (np.arange(200) + 0.5) * 0.8)
    inside = slice(20, -20)
    amplitude = np.vdot(seen[inside], expected[inside]) / np.vdot(expected[inside], expected[inside])
    # The average is over eight samples of a voxel, not over the voxel itself.
    assert amplitude == pytest.approx(scanner.transfer(np.array([frequency]))[0], rel=3e-3)
