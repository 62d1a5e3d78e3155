"""The network that is exported, followed once, is that of every method for images of every size."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctloupe import methods
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.preparation import prepared
from ctloupe.export.bicubic import BicubicByConvolution, bicubic_kernel
from ctloupe.export.graph import HounsfieldNetwork
from ctloupe.export.scan_model import ScanModel
from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.volume.volume import Volume
from small_enhancers import small_enhancer

TRAINED = [name for name in methods.names() if methods.get(name).trainable]
OPTIONS = EnhanceOptions(precision="float32")


def made_up(seed, shape):
    values = np.random.default_rng(seed).normal(-700, 150 + 100 * seed, shape).clip(-1000, 0)
    return Volume(values.astype(np.int16), (0.6, 0.6, 0.6), modality="clinical")


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([2, 4, 8]), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_convolutions_enlarge_as_bicubic_interpolation_does(scale, rows, columns, seed):
    image = torch.rand((2, 1, rows, columns), generator=torch.Generator().manual_seed(seed))
    expected = enlarge_bicubic(image, scale)
    with BicubicByConvolution(bicubic_kernel(scale), scale):
        found = enlarge_bicubic(image, scale)
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", TRAINED)
def test_a_followed_network_serves_other_scans_and_sizes(name):
    model = LoadedModel(name, small_enhancer(name, 4, fixed=False), 4, patch_size=12)
    first, second = made_up(0, (2, 24, 24)), made_up(1, (2, 27, 33))
    followed = ScanModel.of(model, OPTIONS, first, None)
    names = tuple(followed.arrays())
    graph = HounsfieldNetwork(followed, names)
    told = [torch.from_numpy(one) for one in ScanModel.of(model, OPTIONS, second, None).arrays().values()]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(graph, (torch.zeros(1, 1, 24, 20), *told), check_trace=False)
        found = traced(torch.from_numpy(second.data.astype(np.float32))[:, None], *told).numpy()
        # Nothing in it is bound to the device that it was followed on.
        moved = traced.to("meta")(torch.zeros(1, 1, 24, 20, device="meta"), *(one.to("meta") for one in told))
    assert moved.device.type == "meta"
    engine = prepared(model, OPTIONS, second, None)
    for z in range(2):
        assert np.abs(found[z, 0] - engine.enhance(second.data[z], None, z).values).max() <= 1
