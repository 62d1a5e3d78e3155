"""A corrected slice averages to the scan."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctloupe.enhance.back_projection import block_mean, correction


@settings(max_examples=20, deadline=None)
@given(height=st.integers(4, 23), width=st.integers(4, 23), scale=st.sampled_from([2, 4, 8]), seed=st.integers(0, 99))
def test_the_correction_has_exactly_the_block_means_that_were_missing(height, width, scale, seed):
    missing = np.random.default_rng(seed).normal(0, 100, (height, width)).astype(np.float32)
    found = correction(missing, scale)
    assert found.shape == (height * scale, width * scale)
    assert np.abs(block_mean(found, scale).numpy() - missing).max() < 0.05


def test_it_does_not_jump_at_the_border_of_blocks():
    missing = np.random.default_rng(0).normal(0, 100, (20, 20)).astype(np.float32)
    fine = correction(missing, 8)
    steps = (fine[:, 1:] - fine[:, :-1]).abs()
    at_border, inside = steps[:, 7::8].mean(), steps.mean()
    assert at_border < 1.5 * inside
    by_blocks = torch.from_numpy(missing).repeat_interleave(8, 0).repeat_interleave(8, 1)
    blocked = (by_blocks[:, 1:] - by_blocks[:, :-1]).abs()
    assert blocked[:, 7::8].mean() > 7 * blocked.mean()
