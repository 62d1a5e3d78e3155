"""Tiles cannot be told from the whole; the mask, the memory and the passes are handled as promised."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctloupe.enhance.bicubic import BicubicSliceEnhancer
from ctloupe.enhance.exact import ExactSliceEnhancer
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.tiling import Tiling
from ctloupe.foundation.errors import OptionError
from ctloupe.images.windows import IntensityWindow
from ctloupe.methods.bayes_cyclegan import EnlargeAndTranslate
from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.networks.translation import TranslationGenerator
from small_enhancers import LOCAL, NAMES, small_enhancer

WINDOW = IntensityWindow(-1000, 500)


def scan(height, width, seed=0):
    return np.random.default_rng(seed).normal(-700, 150, (height, width)).astype(np.float32)


def enhancer(network, scale, tile=(1000, 1000), copies=4, tell=print, **options):
    model = LoadedModel("test", network, scale, WINDOW)
    options = EnhanceOptions(**{"precision": "float32", "blend": 0} | options)
    return ExactSliceEnhancer(model, options, (1.0, 1.0), Tiling(tile=tile, copies=copies), tell)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.tuples(st.integers(17, 45), st.integers(17, 45)),
    tile=st.tuples(st.integers(5, 30), st.integers(5, 30)),
    scale=st.sampled_from([2, 4, 8]),
)
def test_tiled_equals_untiled(name, size, tile, scale):
    network, hu = small_enhancer(name, scale), scan(*size)
    tiled = enhancer(network, scale, tile).enhance(hu, None, 0).values
    unit = WINDOW.to_unit(torch.from_numpy(hu)[None, None])
    whole = WINDOW.from_unit(network(unit).float())[0, 0].round().numpy()
    # One HU is 1/750 of the range; what is left is rounding to whole HU.
    assert np.abs(tiled - whole).max() <= 1


@pytest.mark.parametrize("name", LOCAL)
def test_with_a_mask_only_its_surroundings_are_computed_and_they_are_those_of_the_whole(name):
    network, hu = small_enhancer(name, 4), scan(60, 64)
    mask = np.zeros(hu.shape, bool)
    mask[20:33, 12:30] = True
    made = enhancer(network, 4, (8, 8)).enhance(hu, mask, 0)
    whole = enhancer(network, 4).enhance(hu, None, 0)
    deep = np.kron(mask, np.ones((4, 4))) > 0
    deep[: 21 * 4] = deep[32 * 4 :] = deep[:, : 13 * 4] = deep[:, 29 * 4 :] = False
    assert np.abs(made.values[deep].astype(int) - whole.values[deep]).max() <= 1
    plain = enlarge_bicubic(torch.from_numpy(hu)[None, None], 4)[0, 0].round().numpy()
    outside = np.kron(mask, np.ones((4, 4))) == 0
    assert np.array_equal(made.values[outside], plain[outside])
    assert made.skipped > made.tiles / 2


@pytest.mark.parametrize("name", ["sr-cyclegan", "bicubic", "bayes-cyclegan"])
def test_a_consistent_slice_averages_to_the_scan_within_one_hu_inside_the_mask(name):
    hu = scan(31, 26)
    mask = np.zeros(hu.shape, bool)
    mask[5:25, 4:20] = True
    if name == "bicubic":
        made = BicubicSliceEnhancer(4, consistent=True).enhance(hu, mask, 0)
    else:
        made = enhancer(small_enhancer(name, 4), 4, (8, 8), consistent=True).enhance(hu, mask, 0)
    means = made.values.reshape(31, 4, 26, 4).mean((1, 3))
    assert np.abs(means - hu)[mask].max() < 1
    squares, total, voxels = made.residual
    assert voxels == mask.sum() and squares / voxels < 0.01 and abs(total) / voxels < 0.1


def test_the_residual_is_that_of_the_block_means():
    hu = scan(20, 20)
    made = enhancer(small_enhancer("sr-cyclegan", 2), 2).enhance(hu, None, 0)
    means = made.values.reshape(20, 2, 20, 2).mean((1, 3))
    assert made.residual[0] == pytest.approx(float(np.square(means - hu).sum()), rel=0.01)


class Greedy(torch.nn.Module):
    """Runs out of memory on images of more than so many pixels."""

    def __init__(self, most, message):
        super().__init__()
        self.most, self.message = most, message

    def forward(self, image):
        if image.shape[-1] * image.shape[-2] > self.most:
            raise RuntimeError(self.message)
        return enlarge_bicubic(image, 2)


def test_a_tile_that_runs_out_of_memory_is_made_smaller_and_says_so():
    told, hu = [], scan(64, 64)
    network = Greedy(1100, "DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 byte")
    small = enhancer(network, 2, (64, 64), copies=1, tell=told.append)
    made = small.enhance(hu, None, 0)
    unit = WINDOW.to_unit(torch.from_numpy(hu)[None, None])
    plain = WINDOW.from_unit(enlarge_bicubic(unit, 2))[0, 0].round().numpy()
    assert np.abs(made.values - plain).max() <= 1
    assert told[-1] == f"out of memory: going on with tiles of {small.tile[0]}×{small.tile[1]} voxels"


class OutOfMemoryOnce(torch.nn.Module):
    """Fails in its third tile, after two have been written."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, image):
        self.calls += image.shape[-1] < 32
        if self.calls == 3:
            raise MemoryError
        return 0.5 * enlarge_bicubic(image, 2)


def test_tiles_that_were_written_before_the_memory_ran_out_are_not_blended_twice():
    hu = scan(30, 30)
    mask = np.zeros(hu.shape, bool)
    mask[3:28, 3:28] = True
    small = enhancer(OutOfMemoryOnce(), 2, (8, 8), copies=1)
    small.network.network.calls = 0
    made = small.enhance(hu, mask, 0)
    assert small.tiling.tile != (8, 8)
    again = small.enhance(hu, mask, 0)
    assert np.array_equal(made.values, again.values)


def test_when_tiles_cannot_be_smaller_the_message_says_what_to_do():
    made = enhancer(Greedy(5000, "CUDA out of memory"), 2, copies=1)
    made.network.network.most = 0
    with pytest.raises(OptionError, match="`roi`"):
        made.enhance(scan(40, 40), None, 0)


def test_any_other_fault_is_not_hidden():
    with pytest.raises(RuntimeError, match="a bug"):
        enhancer(Greedy(1100, "a bug"), 2, (40, 40), copies=1).enhance(scan(40, 40), None, 0)


def stochastic(scale=4):
    torch.manual_seed(0)
    return EnlargeAndTranslate(scale, TranslationGenerator(4, 2, dropout=0.4, skip=True)).eval().requires_grad_(False)


def fixed(scale=4):
    from ctloupe.enhance.network.calibrate import calibrated

    return calibrated(stochastic(scale), torch.rand(4, 1, 16, 16) - 0.5)


@pytest.mark.parametrize("scale", [2, 4])
def test_passes_do_not_depend_on_tiles_or_on_how_many_are_computed_together(scale):
    network, hu = fixed(scale), scan(37, 29)
    whole = enhancer(network, scale, samples=5, copies=5).enhance(hu, None, 3)
    parts = enhancer(network, scale, (8, 12), samples=5, copies=2).enhance(hu, None, 3)
    assert np.abs(whole.values.astype(int) - parts.values).max() <= 1
    assert np.abs(whole.deviation - parts.deviation).max() < 0.05
    assert whole.deviation.mean() > 1


def test_slices_and_seeds_have_passes_of_their_own():
    network, hu = fixed(), scan(16, 16)
    one = enhancer(network, 4, samples=3).enhance(hu, None, 0)
    assert np.array_equal(one.values, enhancer(network, 4, samples=3).enhance(hu, None, 0).values)
    assert not np.array_equal(one.values, enhancer(network, 4, samples=3).enhance(hu, None, 1).values)
    assert not np.array_equal(one.values, enhancer(network, 4, samples=3, seed=1).enhance(hu, None, 0).values)


def test_what_precedes_the_first_dropout_is_computed_once():
    network = fixed()
    made = enhancer(network, 4, samples=6, copies=2)
    layers = [layer for layer in made.network.network.modules() if hasattr(layer, "slope")]
    convolve = type(layers[0])._convolve
    runs = []

    def counted(self, image, padding):
        runs.append(id(self))
        return convolve(self, image, padding)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(layers[0]), "_convolve", counted)
        made.enhance(scan(12, 12), None, 0)
    # So few channels are reflected before they are convolved, at once; the three batches share the first layer.
    assert runs.count(id(layers[0])) == 1
    assert runs.count(id(layers[-1])) == 3


def test_masks_keep_their_share_and_the_mean_of_the_features():
    from ctloupe.networks.dropout import Draw, MonteCarloDropout, drawing

    layer = MonteCarloDropout(0.3)
    with drawing(layer, Draw(1, 0, 8)):
        out = layer(torch.ones(1, 16, 40, 40))
    assert out.shape == (8, 16, 40, 40)
    assert abs((out > 0).float().mean() - 0.7) < 0.01
    assert abs(out.mean() - 1) < 0.02
    assert not torch.equal(out[0], out[1]) and not torch.equal(out[0, 0], out[0, 1])
