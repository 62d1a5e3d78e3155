"""Samples of a network with dropout: running moments, seeds, two volumes, and refusals."""

import numpy as np
import pytest
import torch

from ctloupe.enhance.enhanced_volume import lazily
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.preparation import prepared
from ctloupe.enhance.resolver import SuperResolver, load_model
from ctloupe.enhance.samples import RunningMoments, sampled
from ctloupe.enhance.scan_part import ScanPart
from ctloupe.enhance.stitch import match_histogram, median_filtered
from ctloupe.foundation.errors import OptionError
from ctloupe.images.windows import IntensityWindow
from ctloupe.methods.bayes_cyclegan import EnlargeAndTranslate
from ctloupe.networks.translation import TranslationGenerator
from ctloupe.volume.formats import read
from ctloupe.volume.volume import Volume


def scan(shape=(3, 14, 17)):
    values = np.random.default_rng(0).normal(-800, 150, shape).round().astype(np.int16)
    return Volume(values, (2.0, 0.7, 0.6), modality="clinical", units="HU")


def bayesian(**options):
    torch.manual_seed(0)
    network = EnlargeAndTranslate(4, TranslationGenerator(4, 1, dropout=0.4, skip=True)).eval()
    return SuperResolver(
        LoadedModel("bayes", network, 4, IntensityWindow(-1000, 500), None, 8), EnhanceOptions(**options)
    )


def test_running_moments_are_those_of_the_stack():
    random = torch.Generator().manual_seed(0)
    images = [1000 + torch.randn(5, 6, generator=random) for _ in range(7)]
    moments = RunningMoments()
    for image in images:
        moments.add(image)
    stack = torch.stack(images).double()
    assert torch.allclose(moments.mean.double(), stack.mean(0), atol=1e-4)
    assert torch.allclose(moments.deviation.double(), stack.std(0, correction=0), atol=1e-3)


def test_no_image_has_no_moments():
    with pytest.raises(ValueError, match="no image"):
        _ = RunningMoments().mean


def test_samples_follow_their_seed_and_leave_the_callers_random_state_alone():
    image = torch.zeros(1, 1, 4, 4)
    state = torch.get_rng_state()
    one = sampled(lambda x: x + torch.randn_like(x), image, 3, seed=1)
    again = sampled(lambda x: x + torch.randn_like(x), image, 3, seed=1)
    other = sampled(lambda x: x + torch.randn_like(x), image, 3, seed=2)
    assert torch.equal(one.mean, again.mean) and not torch.equal(one.mean, other.mean)
    assert torch.equal(torch.get_rng_state(), state)


def test_mean_and_uncertainty_are_written_on_one_grid(tmp_path):
    found = bayesian(samples=5)
    found.enhance_to(scan(), tmp_path / "mean.nii.gz", uncertainty=tmp_path / "sd.nii.gz")
    mean, deviation = read(tmp_path / "mean.nii.gz"), read(tmp_path / "sd.nii.gz")
    assert mean.shape == deviation.shape == (3, 56, 68)
    assert np.allclose(mean.affine, deviation.affine)
    spread = deviation.array()
    assert spread.min() >= 0 and spread.mean() > 0.1
    assert not [path for path in tmp_path.iterdir() if path.name not in ("mean.nii.gz", "sd.nii.gz")]


def with_deviation(resolver, volume, mask):
    kept = {}
    enhancer = prepared(resolver.model, resolver.options, volume, mask)
    part = ScanPart.of(volume, mask, None)
    lazy = lazily(resolver.model, resolver.options, enhancer, part, lambda z, made: kept.update({z: made.deviation}))
    return np.asarray(lazy.data), kept


def test_the_mean_is_that_of_single_passes():
    plain = scan((1, 12, 12))
    made, spread = with_deviation(bayesian(samples=40), plain, None)
    mean, spread = made.astype(float), spread[0]
    single = np.asarray(bayesian(samples=1, seed=7).enhance(plain).data).astype(float)
    # Another pass lies within a few deviations of the mean nearly everywhere.
    assert (np.abs(single - mean)[0] < 5 * spread + 2).mean() > 0.97


def test_a_region_has_the_samples_of_the_whole():
    whole = bayesian(samples=3).enhance(scan())
    part = bayesian(samples=3).enhance(scan(), region=(slice(1, 2), slice(0, 14), slice(0, 17)))
    assert np.array_equal(whole.data[1:2], part.data)


def test_outside_the_mask_nothing_is_uncertain():
    volume = scan()
    mask = np.zeros(volume.shape, bool)
    mask[1, :, :9] = True
    made, kept = with_deviation(bayesian(samples=3), volume, mask)
    assert not kept[0].any() and not kept[1][:, 44:].any() and kept[1][:, :28].any()
    assert np.array_equal(made[0], load_model("bicubic", 4).enhance(volume).data[0])


def test_a_model_without_dropout_refuses_samples():
    with pytest.raises(OptionError, match="no dropout"):
        load_model("bicubic", 4, samples=4)


def test_the_isbi_reconstruction_belongs_to_patches():
    with pytest.raises(OptionError, match="`stitch` patches"):
        bayesian(median=3)
    with pytest.raises(OptionError, match="odd"):
        bayesian(stitch="patches", median=2)
    made = bayesian(stitch="patches", match_histograms=True, median=3).enhance(scan())
    assert made.shape == (3, 56, 68)


def test_a_matched_patch_has_the_distribution_of_its_reference():
    random = np.random.default_rng(0)
    patch, reference = random.normal(0, 1, (40, 40)), random.exponential(1, (40, 40))
    matched = match_histogram(patch.astype(np.float32), reference.astype(np.float32))
    assert np.allclose(np.quantile(matched, [0.1, 0.5, 0.9]), np.quantile(reference, [0.1, 0.5, 0.9]), atol=0.02)
    assert np.array_equal(np.argsort(matched.ravel()), np.argsort(patch.astype(np.float32).ravel()))


def test_a_median_filter_removes_a_line_one_pixel_wide():
    image = np.zeros((9, 9), np.float32)
    image[:, 4] = 1
    assert not median_filtered(image, 3).any()
    assert np.array_equal(median_filtered(image, 1), image)
