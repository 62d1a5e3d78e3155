"""A flow gives its posterior mean or samples, slice by slice, the same however the slice is cut."""

import numpy as np
import pytest
import torch

from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.noise_of_place import noise_of_place
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.resolver import SuperResolver
from ctloupe.enhance.samples import KeptSamples
from ctloupe.foundation.errors import OptionError
from ctloupe.networks.average import as_average
from ctloupe.networks.flow.enhancer import FlowEnhancer
from ctloupe.volume.volume import Volume
from small_enhancers import enhanced, strong_flow


@pytest.fixture(scope="module")
def model():
    return strong_flow()


@pytest.fixture(scope="module")
def scan():
    values = np.random.default_rng(0).normal(-700, 150, (2, 40, 44)).clip(-1000, 0)
    return Volume(values.astype(np.int16), (0.6, 0.6, 0.6), modality="clinical")


def test_without_options_it_is_the_posterior_mean(model, scan):
    unit = model.window.to_unit(torch.from_numpy(scan.data[:1].astype(np.float32))[None])
    expected = model.window.from_unit(model.network(unit))[0, 0].numpy()
    assert np.abs(enhanced(model, scan, precision="float32", flat_field="off")[0] - expected).max() <= 1


def test_a_sample_is_the_flow_from_noise_in_the_stated_number_of_steps(model, scan):
    found = enhanced(model, scan, output="sample", steps=3, seed=5, precision="float32")
    unit = model.window.to_unit(torch.from_numpy(scan.data[1].astype(np.float32))[None, None])
    noise = torch.from_numpy(noise_of_place(5, 1, 0, (0, 40), (0, 44), model.scale**2))[None]
    guess = noise * model.network.spread
    for step in range(3):
        guess = model.network.advanced(unit, guess, step / 3, (step + 1) / 3)
    bicubic = torch.nn.functional.interpolate(unit, scale_factor=4, mode="bicubic", antialias=True)
    expected = (bicubic + torch.nn.functional.pixel_shuffle(guess, 4)).clamp(-1, 1)
    assert np.abs(found[1] - model.window.from_unit(expected)[0, 0].numpy()).max() <= 1


@pytest.mark.parametrize("options", [{"output": "sample"}, {"output": "sample", "steps": 1}, {"output": "mean"}])
def test_tiled_equals_untiled(model, scan, options):
    whole = enhanced(model, scan, tile=64, precision="float32", **options)
    cut = enhanced(model, scan, tile=8, precision="float32", **options)
    assert np.abs(whole - cut).max() <= 1


def test_a_region_equals_the_same_part_of_the_whole_away_from_its_border(model, scan):
    whole = enhanced(model, scan, output="sample", steps=2, precision="float32")
    part = enhanced(
        model, scan, (slice(1, 2), slice(3, 40), slice(5, 44)), output="sample", steps=2, precision="float32"
    )
    inner = slice(15 * 4, -15 * 4 or None)
    assert np.abs(part[0][:, inner][60:] - whole[1][12:, 20:][:, inner][60:]).max() <= 1


@pytest.mark.slow
def test_what_lies_outside_a_mask_is_bicubic_and_inside_the_mask_is_as_without_one(model, scan):
    mask = np.zeros(scan.shape, bool)
    mask[:, 10:20, 12:24] = True
    bicubic = enhanced(LoadedModel("bicubic", None, 4, model.window), scan)
    masked = enhanced(model, scan, mask=mask, output="sample", tile=8, precision="float32", blend=0.0)
    whole = enhanced(model, scan, output="sample", tile=8, precision="float32")
    assert np.array_equal(masked[:, :32, :40], bicubic[:, :32, :40])
    assert np.abs(masked[:, 48:72, 56:88] - whole[:, 48:72, 56:88]).max() <= 1


def test_seeds_slices_and_samples_differ(model, scan):
    one, other = (enhanced(model, scan, output="sample", seed=seed) for seed in (1, 2))
    assert not np.array_equal(one, other)
    flat = Volume(np.full((2, 16, 16), -700, np.int16), (0.6, 0.6, 0.6), modality="clinical")
    made = enhanced(model, flat, output="sample")
    assert not np.array_equal(made[0], made[1])


def test_the_deviation_is_that_of_so_many_samples(model, scan, tmp_path):
    resolver = SuperResolver(model, EnhanceOptions.of({"samples": 3, "precision": "float32", "seed": 4}))
    from ctloupe.volume.formats import read

    resolver.enhance_to(scan, tmp_path / "a.ome.zarr", uncertainty=tmp_path / "b.ome.zarr")
    found = read(tmp_path / "b.ome.zarr").array()
    unit = model.window.to_unit(torch.from_numpy(scan.data[0].astype(np.float32))[None, None])
    drawn = []
    for sample in range(3):
        guess = torch.from_numpy(noise_of_place(4, 0, sample, (0, 40), (0, 44), 16))[None] * model.network.spread
        for step in range(4):
            guess = model.network.advanced(unit, guess, step / 4, (step + 1) / 4)
        bicubic = torch.nn.functional.interpolate(unit, scale_factor=4, mode="bicubic", antialias=True)
        image = (bicubic + torch.nn.functional.pixel_shuffle(guess, 4)).clamp(-1, 1)
        drawn.append(model.window.from_unit(image)[0, 0].numpy())
    assert np.abs(found[0] - np.std(drawn, axis=0)).max() < 0.5
    assert np.array_equal(read(tmp_path / "a.ome.zarr").array(), enhanced(model, scan, precision="float32"))


def test_quantiles_are_those_of_the_samples_and_outside_of_the_mask_the_interpolation(model, scan, tmp_path):
    from ctloupe.volume.formats import read

    mask = np.zeros(scan.shape, bool)
    mask[:, 10:30, 12:40] = True
    options = EnhanceOptions.of({"samples": 3, "quantiles": (0.5, 0.9), "precision": "float32", "seed": 4, "blend": 1})
    outputs = {one: tmp_path / f"{one}.ome.zarr" for one in options.quantiles}
    resolver = SuperResolver(model, options)
    resolver.enhance_to(scan, tmp_path / "mean.ome.zarr", mask, quantiles=outputs)
    middle, high = (read(outputs[one]).array() for one in (0.5, 0.9))
    mean = read(tmp_path / "mean.ome.zarr").array()
    outside, inside = np.s_[:, :24, :32], np.s_[:, 60:100, 70:140]
    assert np.abs(middle[outside] - mean[outside]).max() <= 0.5
    only = {"output": "sample", "precision": "float32"}
    drawn = np.stack([enhanced(model, scan, mask=mask, seed=4, **only)[inside]])
    assert np.all(middle <= high + 1e-3)
    # The first sample is that of the seed, and no quantile of three lies beyond all of them.
    assert np.mean((drawn[0] >= middle[inside] - 1) & (drawn[0] <= high[inside] + 1)) > 0.2
    assert "quantile 0.9 of 3 samples" in read(outputs[0.9]).history[-1]


def test_the_quantile_of_kept_images_is_numpys():
    images = [torch.randn(5, 6) * 300 for _ in range(4)]
    kept = KeptSamples(images)
    expected = np.quantile(np.round(torch.stack(images).numpy()), 0.2, axis=0)[1:4, 2:]
    assert np.allclose(kept.quantile(0.2, (slice(1, 4), slice(2, 6))), expected, atol=1e-2)


def test_noise_depends_on_the_place_alone():
    whole = noise_of_place(1, 2, 3, (0, 70), (0, 80), 4)
    assert np.array_equal(noise_of_place(1, 2, 3, (30, 65), (10, 77), 4), whole[:, 30:65, 10:77])
    assert abs(float(whole.mean())) < 0.02 and float(whole.std()) == pytest.approx(1, abs=0.02)
    assert not np.array_equal(noise_of_place(1, 2, 4, (0, 70), (0, 80), 4), whole)


def test_an_average_of_the_weights_enhances_too(model, scan):
    average = as_average(model.network)
    assert isinstance(average, FlowEnhancer) and not list(average.parameters())
    other = LoadedModel("physics-flow", average, model.scale, patch_size=model.patch_size)
    assert np.array_equal(enhanced(other, scan, output="sample"), enhanced(model, scan, output="sample"))


def test_what_cannot_be_is_refused(model, scan):
    with pytest.raises(OptionError, match="`steps` 0"):
        EnhanceOptions.of({"steps": 0})
    with pytest.raises(OptionError, match=r"`output` median: expected mean or sample"):
        EnhanceOptions.of({"output": "median"})
    with pytest.raises(OptionError, match="one image only"):
        SuperResolver(LoadedModel("bicubic", None, 4), EnhanceOptions.of({"output": "sample"}))
    with pytest.raises(OptionError, match="`stitch` calibrated"):
        SuperResolver(model, EnhanceOptions.of({"samples": 2, "stitch": "slice"}))
    with pytest.raises(OptionError, match="at least 2"):
        EnhanceOptions.of({"quantiles": (0.1, 0.9)})
    with pytest.raises(OptionError, match=r"`quantiles` 0.5, 1: expected different probabilities"):
        EnhanceOptions.of({"samples": 4, "quantiles": (0.5, 1.0)})
    with pytest.raises(OptionError, match="`consistent` does not correct"):
        EnhanceOptions.of({"samples": 4, "quantiles": (0.5,), "consistent": True})


def test_in_half_precision_a_sample_is_near_that_of_full_precision(model, scan):
    full, half = (
        enhanced(model, scan, output="sample", steps=2, precision=one).astype(float) for one in ("float32", "bf16")
    )
    assert np.abs(full - half).mean() < 0.05 * full.std()
