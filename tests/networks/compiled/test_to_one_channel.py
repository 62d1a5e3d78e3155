"""A compiled convolution to one channel is that of PyTorch in double precision, whatever the sizes and registers."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from compiled_code import compiled, random
from ctloupe.networks.compiled import library
from ctloupe.networks.compiled.to_one_channel import Kernel, convolve, features_for, kernel_of


def check(kernel: Kernel, weight, bias, height, width, seed):
    rim = kernel.taps - 1
    features = features_for(kernel, height + rim, width + rim)
    features.copy_(random(height + rim, width + rim, kernel.channels, seed=seed))
    # The image lies within a larger one, of which nothing else may change.
    around = torch.full((height + 2, width + 3), torch.nan)
    convolve(features, kernel, around[1:-1, 2:-1])
    wanted = F.conv2d(features.permute(2, 0, 1)[None].double(), weight.double(), bias)
    torch.testing.assert_close(around[1:-1, 2:-1].double(), wanted[0, 0], atol=1e-4, rtol=1e-4)
    assert int(around.isnan().sum()) == around.numel() - height * width


@compiled
@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 150), st.sampled_from([3, 8, 16, 20]), st.sampled_from([3, 5, 7]), st.booleans()
)
def test_it_is_the_plain_one(height, width, channels, taps, has_bias):
    weight = random(1, channels, taps, taps, seed=1) / (taps * channels**0.5)
    bias = torch.tensor([0.7]) if has_bias else None
    kernel = kernel_of(weight, bias)
    assert kernel is not None
    check(kernel, weight, None if bias is None else bias.double(), height, width, seed=2)


@pytest.mark.parametrize("lanes", [4, 16])
@pytest.mark.parametrize(("channels", "taps"), [(8, 7), (12, 3)])
def test_registers_of_other_sizes_find_the_same(lanes, channels, taps, of_any_width, monkeypatch):
    monkeypatch.setattr(library, "_library", lambda: of_any_width)
    monkeypatch.setattr(library, "registers", lambda: (lanes,))
    weight = random(1, channels, taps, taps, seed=1) / (taps * channels**0.5)
    kernel = kernel_of(weight, None)
    assert kernel is not None and kernel.lanes == lanes
    check(kernel, weight, None, 18, 139, seed=2)


@compiled
def test_any_number_of_threads_finds_the_same_bits(monkeypatch):
    weight = random(1, 8, 7, 7)
    kernel = kernel_of(weight, None)
    features = features_for(kernel, 70, 300)
    features.copy_(random(70, 300, 8, seed=3))
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda count=threads: count)
        found.append(torch.empty(64, 294))
        convolve(features, kernel, found[-1])
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


def test_it_is_not_offered_where_nothing_is_compiled_for_it(monkeypatch):
    monkeypatch.setattr(library, "registers", lambda: ())
    assert kernel_of(random(1, 8, 7, 7), None) is None
