"""Compiled convolutions are those of PyTorch in double precision, whatever the sizes, borders and layout."""

import platform
import shutil

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from compiled_code import channels_last, compiled, random
from ctloupe.networks.compiled import library
from ctloupe.networks.compiled.winograd import (
    TAPS,
    Padding,
    convolve,
    lanes_for,
    products,
    transformed,
    weight_gradient,
)

NEAR = 1e-4


def padded(image, rows, columns, reflects):
    return F.pad(image, (*columns, *rows), "reflect" if reflects else "constant")


sizes = st.integers(1, 14)


@st.composite
def problems(draw):
    """Image, weight, bias and padding of a convolution with at least one output."""
    taps, reflects = draw(st.sampled_from(TAPS)), draw(st.booleans())
    size, beyond = [], []
    for _ in range(2):
        side = draw(sizes)
        most = min(taps, side) - 1 if reflects else taps - 1
        around = draw(st.integers(0, most)), draw(st.integers(0, most))
        size.append(max(side, taps - sum(around)))
        beyond.append(around)
    inputs, outputs = draw(st.sampled_from([8, 16, 104])), draw(st.sampled_from([8, 16, 40]))
    seed = draw(st.integers(0, 99))
    image = channels_last(random(draw(st.integers(1, 3)), inputs, *size, seed=seed))
    weight = random(outputs, inputs, taps, taps, seed=seed + 1) / (taps * inputs**0.5)
    return image, weight, random(outputs), Padding(*beyond, reflects)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only there is it known what a processor has")
def test_they_are_compiled_where_there_is_a_compiler():
    if not shutil.which("cc") or torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        pytest.skip("no C compiler, or a processor without AVX2")
    assert library.registers()[-1] == 8


@compiled
@settings(max_examples=60, deadline=None)
@given(problems(), st.sampled_from([0.0, 0.2, 1.0]), st.booleans(), st.sampled_from(range(3)))
def test_a_convolution_is_the_plain_one(problem, slope, has_bias, which):
    image, weight, bias, padding = problem
    registers = [one for one in library.registers() if not (weight.shape[1] % one or len(weight) % one)]
    kernel = transformed(weight, registers[which % len(registers)])
    whole = padded(image.double(), padding.rows, padding.columns, padding.reflects)
    wanted = F.leaky_relu(F.conv2d(whole, weight.double(), bias.double() if has_bias else None), slope)
    skip = channels_last(random(*wanted.shape, seed=5))
    found = convolve(image, kernel, bias if has_bias else None, padding, slope, skip=skip)
    torch.testing.assert_close(found.double(), wanted + skip, atol=NEAR, rtol=NEAR)


@pytest.mark.parametrize(("lanes", "inputs", "outputs"), [(4, 8, 12), (4, 4, 16), (16, 32, 64), (16, 16, 48)])
def test_registers_of_other_sizes_find_the_same(lanes, inputs, outputs, of_any_width, monkeypatch):
    monkeypatch.setattr(library, "_library", lambda: of_any_width)
    image = channels_last(random(2, inputs, 11, 18))
    weight = (random(outputs, inputs, 3, 3) / (3 * inputs**0.5)).requires_grad_()
    wanted = F.conv2d(padded(image, (1, 1), (1, 1), True), weight)
    found = convolve(image, transformed(weight, lanes), None, Padding.around(1, True))
    torch.testing.assert_close(found, wanted, atol=NEAR, rtol=NEAR)
    gradient = channels_last(random(*wanted.shape, seed=7))
    wanted.backward(gradient)
    of_weight = weight_gradient(products(image, gradient, 3, Padding.around(1, True), lanes), 3)
    torch.testing.assert_close(of_weight, weight.grad, atol=1e-3, rtol=NEAR)


@compiled
@settings(max_examples=40, deadline=None)
@given(problems())
def test_the_gradient_of_the_weights_is_the_plain_one(problem):
    image, weight, _, padding = problem
    weight = weight.double().requires_grad_()
    made = F.conv2d(padded(image.double(), padding.rows, padding.columns, padding.reflects), weight)
    gradient = channels_last(random(*made.shape, seed=7))
    made.backward(gradient.double())
    lanes = lanes_for(weight.shape[1], len(weight))
    found = weight_gradient(products(image, gradient, weight.shape[2], padding, lanes), weight.shape[2])
    scale = float(weight.grad.abs().max()) + 1
    torch.testing.assert_close(found.double() / scale, weight.grad / scale, atol=NEAR, rtol=0)


@compiled
@pytest.mark.parametrize(("height", "width", "channels"), [(1, 1, 8), (5, 9, 16), (9, 4, 24)])
def test_sub_pixels_are_laid_where_a_shuffle_lays_them(height, width, channels):
    image, weight = channels_last(random(1, 16, height, width)), random(4 * channels, 16, 3, 3) / 12
    wanted = F.pixel_shuffle(F.conv2d(image, weight, padding=1), 2)
    reordered = weight.unflatten(0, (channels, 4)).transpose(0, 1).flatten(0, 1)
    kernel = transformed(reordered, lanes_for(16, 4 * channels, channels))
    room = torch.full((2 * height + 3, 2 * width + 2, channels), 7.0)
    out = room[2:-1, 1:-1].permute(2, 0, 1)[None]
    convolve(image, kernel, None, Padding.around(1), out=out, shuffles=True)
    torch.testing.assert_close(out, wanted, atol=NEAR, rtol=NEAR)
    room[2:-1, 1:-1] = 7
    assert (room == 7).all()


@compiled
def test_parts_of_larger_images_are_read_and_written_in_place():
    whole, weight = channels_last(random(1, 16, 12, 13)), random(16, 16, 3, 3) / 12
    part = whole[:, :, 2:9, 3:11]
    wanted = F.conv2d(part, weight, padding=1)
    kept, kernel = whole.clone(), transformed(weight, lanes_for(16, 16))
    torch.testing.assert_close(convolve(part, kernel, None, Padding.around(1)), wanted, atol=NEAR, rtol=NEAR)
    assert torch.equal(whole, kept)
    features = channels_last(random(1, 16, 7, 8, seed=3))
    added = convolve(part, kernel, None, Padding.around(1), skip=features, out=features)
    assert added is features
    torch.testing.assert_close(features, wanted + random(1, 16, 7, 8, seed=3), atol=NEAR, rtol=NEAR)


@compiled
@pytest.mark.parametrize("by_openmp", [True, False])
def test_any_number_of_threads_finds_the_same(by_openmp, monkeypatch):
    if not by_openmp:
        monkeypatch.setattr(library, "_openmp_of_torch", lambda: None)
    library._threads.cache_clear()
    image, weight = channels_last(random(2, 16, 40, 41)), random(32, 16, 3, 3) / 12
    kernel, threads, found = transformed(weight, lanes_for(16, 32)), torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(convolve(image, kernel, None, Padding.around(1, True)))
            gradient = products(image, found[0], 3, Padding.around(1, True), kernel.lanes)
            again = products(image, found[0], 3, Padding.around(1, True), kernel.lanes)
            assert torch.equal(gradient, again)
    finally:
        torch.set_num_threads(threads)
        library._threads.cache_clear()
    assert all(torch.equal(one, found[0]) for one in found)


def test_without_them_no_channels_suit(monkeypatch):
    monkeypatch.setattr(library, "_library", lambda: None)
    library.registers.cache_clear()
    try:
        assert library.registers() == () and lanes_for(64, 64) == 0
    finally:
        library.registers.cache_clear()


@compiled
def test_channels_that_fill_no_registers_do_not_suit():
    assert lanes_for(64, 64)
    assert not lanes_for(3, 64) and not lanes_for(64, 1) and not lanes_for(64, 64, 2)
