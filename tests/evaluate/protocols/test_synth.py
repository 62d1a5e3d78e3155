"""µCT made clinical-like by a network and enhanced again."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ctloupe.enhance.resolver import load_model
from ctloupe.evaluate.protocols.synth import compare_synthesised
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.volume import Volume


def with_patches(name, size):
    resolver = load_model(name, 2)
    return replace(resolver, model=replace(resolver.model, patch_size=size))


def test_the_synthesised_protocol_enhances_what_the_network_makes_of_each_patch():
    values = np.random.default_rng(3).integers(0, 15000, (2, 64, 64)).astype(np.int16)
    micro = Volume(values, (0.1, 0.1, 0.1), modality="micro")
    window = IntensityWindow(0, 15000)
    resolver = with_patches("bicubic", 16)
    seen = []

    def shrunk(fine):
        seen.append(fine.shape)
        return torch.nn.functional.avg_pool2d(fine, 2)

    found = compare_synthesised(micro, resolver, shrunk, window, patches=3)
    assert found.protocol == "synth, version 2" and found.facts["patches"] == 3
    assert seen == [(1, 1, 32, 32)] * 3
    # A network that knows the answer: nearest enlargement of what it shrinks is the original of a blocky image.
    blocky = values[:, ::2, ::2].repeat(2, 1).repeat(2, 2)
    nearest = with_patches("nearest", 16)
    perfect = compare_synthesised(micro.with_data(blocky, "blocks"), nearest, shrunk, window)
    assert perfect.rows["nearest"]["SSIM one window"] == pytest.approx(1, abs=1e-5)
    assert perfect.rows["bicubic"]["SSIM one window"] < 0.99
