"""What every slice enhancer promises, whatever it does inside."""

import numpy as np
import pytest
import torch

from ctloupe.enhance.bicubic import BicubicSliceEnhancer
from ctloupe.enhance.exact import ExactSliceEnhancer
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.patchwise import PatchwiseSliceEnhancer
from ctloupe.enhance.tiling import Tiling
from ctloupe.images.windows import IntensityWindow
from ctloupe.networks.bicubic import enlarge_bicubic
from small_enhancers import small_enhancer

SCALE = 2
SCAN = np.random.default_rng(0).normal(-700, 150, (22, 27)).astype(np.float32)


def bicubic():
    return BicubicSliceEnhancer(SCALE)


def exact(**options):
    model = LoadedModel("test", small_enhancer("bayes-cyclegan", SCALE), SCALE, IntensityWindow(-1000, 500))
    return ExactSliceEnhancer(
        model, EnhanceOptions(precision="float32", **options), (0.8, 0.6), Tiling(tile=(8, 12), copies=2)
    )


def patchwise(**options):
    network = small_enhancer("bayes-cyclegan", SCALE, fixed=False)
    model = LoadedModel("test", network, SCALE, IntensityWindow(-1000, 500), None, 8)
    return PatchwiseSliceEnhancer(model, EnhanceOptions(**{"stitch": "patches"} | options), (0.8, 0.6))


EVERY = [
    pytest.param(bicubic, id="bicubic"),
    pytest.param(exact, id="exact"),
    pytest.param(patchwise, id="patches"),
    pytest.param(lambda: patchwise(stitch="slice"), id="slice"),
    pytest.param(lambda: exact(samples=2), id="exact with samples"),
    pytest.param(lambda: patchwise(samples=2), id="patches with samples"),
]


@pytest.mark.parametrize("make", EVERY)
def test_a_slice_is_a_function_of_its_voxels_mask_and_index_alone(make):
    enhancer = make()
    first = enhancer.enhance(SCAN, None, 3)
    assert first.values.shape == (44, 54) and first.values.dtype == np.int16
    enhancer.enhance(SCAN[::-1], None, 5)
    again = enhancer.enhance(SCAN, None, 3)
    assert np.array_equal(again.values, first.values)
    if first.deviation is not None:
        assert first.deviation.shape == first.values.shape and first.deviation.min() >= 0
        assert np.array_equal(again.deviation, first.deviation)


@pytest.mark.parametrize("make", EVERY)
def test_outside_the_mask_it_is_bicubic(make):
    mask = np.zeros(SCAN.shape, bool)
    mask[4:15, 3:12] = True
    plain = enlarge_bicubic(torch.from_numpy(SCAN)[None, None], SCALE)[0, 0].round().numpy()
    made = make().enhance(SCAN, mask, 0)
    outside = np.kron(mask, np.ones((SCALE, SCALE))) == 0
    assert np.array_equal(made.values[outside], plain[outside])
    assert made.residual[2] == mask.sum()
    nowhere = make().enhance(SCAN, np.zeros_like(mask), 0)
    assert np.array_equal(nowhere.values, plain)
    assert nowhere.residual == (0, 0, 0) and nowhere.skipped == nowhere.tiles


@pytest.mark.parametrize("make", EVERY)
def test_it_says_how_slices_are_cut_and_what_that_takes(make):
    enhancer = make()
    assert (enhancer.tile is None) == (enhancer.tiling is None)
    assert enhancer.footprint((22, 27)) <= enhancer.footprint((220, 270))
    enhancer.use(Tiling(tile=(6, 6), copies=1))
    assert enhancer.tiling in (None, Tiling(tile=(6, 6), copies=1))


@pytest.mark.parametrize("make", [ExactSliceEnhancer, PatchwiseSliceEnhancer])
def test_without_a_network_there_is_nothing_to_apply(make):
    more = (Tiling(),) if make is ExactSliceEnhancer else ()
    with pytest.raises(ValueError, match="needs a network"):
        make(LoadedModel("bicubic", None, SCALE), EnhanceOptions(), (1.0, 1.0), *more)


def test_patches_as_large_as_the_slice_are_the_slice_and_larger_ones_have_fewer_seams():
    whole = patchwise(stitch="slice").enhance(SCAN, None, 0).values
    sizes = {size: patchwise(stitch_size=size).enhance(SCAN, None, 0).values for size in (8, 16, 64)}
    assert np.array_equal(sizes[64], whole)
    assert not np.array_equal(sizes[8], sizes[16])
    usual = patchwise().enhance(SCAN, None, 0).values
    assert np.array_equal(usual, sizes[8])
