"""The fast pixel shuffle is PyTorch's, whatever its features are stored as."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from ctloupe.enhance.network.fast_shuffle import FastShuffle


@given(st.integers(1, 4), st.integers(1, 2), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_it_is_the_plain_one(step, channels, count, height, width, channels_last):
    features = torch.randn(count, channels * step**2, height, width)
    if channels_last:
        features = features.contiguous(memory_format=torch.channels_last)
    assert torch.equal(FastShuffle(step)(features), F.pixel_shuffle(features, step))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_number_formats_are_shuffled_too(dtype):
    features = torch.randn(1, 16, 3, 5).to(dtype).contiguous(memory_format=torch.channels_last)
    assert torch.equal(FastShuffle(4)(features), F.pixel_shuffle(features, 4))


def test_a_part_of_features_is_shuffled_too():
    features = torch.randn(1, 9, 11, 16).permute(0, 3, 1, 2)[..., 2:7, 3:]
    assert torch.equal(FastShuffle(4)(features), F.pixel_shuffle(features, 4))
