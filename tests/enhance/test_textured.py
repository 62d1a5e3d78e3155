"""A flow with a texture gives samples in one evaluation, the same however the slice is cut."""

import numpy as np
import pytest
import torch

from ctloupe.enhance.noise_of_place import noise_of_place
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.resolver import SuperResolver
from ctloupe.foundation.errors import OptionError
from ctloupe.volume.formats import read
from ctloupe.volume.volume import Volume
from small_enhancers import enhanced, strong_flow

EXACT = {"precision": "float32", "seed": 5}


@pytest.fixture(scope="module")
def model():
    return strong_flow(texture=True)


@pytest.fixture(scope="module")
def scan():
    values = np.random.default_rng(0).normal(-700, 150, (2, 40, 44)).clip(-1000, 0)
    return Volume(values.astype(np.int16), (0.6, 0.6, 0.6), modality="clinical")


def drawn(model, scan, index, sample, seed=5):
    """A sample of a slice in HU, from the network alone."""
    unit = model.window.to_unit(torch.from_numpy(scan.data[index].astype(np.float32))[None, None])
    noise = torch.from_numpy(noise_of_place(seed, index, sample, (0, 40), (0, 44), model.scale**2))[None]
    made = model.network.textured(*model.network.beginning(unit), torch.pixel_shuffle(noise, model.scale))
    return model.window.from_unit(made)[0, 0].numpy()


def test_a_sample_is_the_mean_and_the_texture_that_noise_of_its_place_becomes(model, scan):
    found = enhanced(model, scan, output="sample", **EXACT)
    assert np.abs(found[1] - drawn(model, scan, 1, 0)).max() <= 1
    assert np.abs(found[1] - enhanced(model, scan, **EXACT)[1]).std() > 20


def test_the_mean_is_that_of_the_same_flow_without_texture(model, scan):
    unit = model.window.to_unit(torch.from_numpy(scan.data[:1].astype(np.float32))[None])
    expected = model.window.from_unit(model.network(unit))[0, 0].numpy()
    assert np.abs(enhanced(model, scan, flat_field="off", **EXACT)[0] - expected).max() <= 1


@pytest.mark.parametrize("tile", [8, 16])
def test_tiled_equals_untiled(model, scan, tile):
    whole = enhanced(model, scan, tile=64, output="sample", **EXACT)
    assert np.abs(whole - enhanced(model, scan, tile=tile, output="sample", **EXACT)).max() <= 1


def test_a_part_of_a_scan_has_the_noise_of_its_place(model, scan):
    whole = enhanced(model, scan, output="sample", **EXACT)
    part = enhanced(model, scan, (slice(1, 2), slice(3, 40), slice(5, 44)), output="sample", **EXACT)
    assert np.abs(part[0][60:, 60:96] - whole[1][72:, 80:116]).max() <= 1


def test_deviation_and_quantiles_are_those_of_so_many_samples(model, scan, tmp_path):
    options = EnhanceOptions.of({"samples": 4, "quantiles": (0.25,), **EXACT})
    outputs = {0.25: tmp_path / "q.ome.zarr"}
    SuperResolver(model, options).enhance_to(
        scan, tmp_path / "mean.ome.zarr", uncertainty=tmp_path / "sigma.ome.zarr", quantiles=outputs
    )
    samples = np.stack([drawn(model, scan, 0, sample) for sample in range(4)])
    assert np.abs(read(tmp_path / "sigma.ome.zarr").array()[0] - samples.std(axis=0)).max() < 0.5
    assert np.abs(read(tmp_path / "q.ome.zarr").array()[0] - np.quantile(samples, 0.25, axis=0)).max() <= 1
    assert np.array_equal(read(tmp_path / "mean.ome.zarr").array(), enhanced(model, scan, **EXACT))


def test_steps_are_refused_and_the_history_says_how_a_sample_was_made(model, scan):
    with pytest.raises(OptionError, match="draws samples at once"):
        SuperResolver(model, EnhanceOptions.of({"output": "sample", "steps": 3}))
    made = SuperResolver(model, EnhanceOptions.of({"output": "sample", "seed": 7})).enhance(scan)
    assert any("a sample of seed 7 with the texture drawn at once" in line for line in made.history)


def test_half_precision_changes_little(model, scan):
    whole, half = (
        enhanced(model, scan, output="sample", seed=5, precision=one).astype(float) for one in ("float32", "bf16")
    )
    assert 0 < np.sqrt(np.mean((whole - half) ** 2)) < 0.1 * whole.std()
