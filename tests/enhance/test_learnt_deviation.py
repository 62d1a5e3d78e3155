"""A flow writes how far its mean may be off, and what of it is invented, in the run that makes the mean."""

import numpy as np
import pytest
import torch

from ctloupe import methods
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.resolver import SuperResolver
from ctloupe.foundation.errors import CtLoupeError, Interrupted, OptionError
from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.volume.formats import read
from ctloupe.volume.volume import Volume
from small_config import SMALL_BY_METHOD

ASKED = {"uncertainty": True, "invented": True, "precision": "float32", "tile": 8}


def flow(**changes):
    kind = methods.get("physics-flow")
    config = kind.configure("tiny", SMALL_BY_METHOD["physics-flow"] | changes)
    torch.manual_seed(0)
    network = kind.make_enhancer(config).eval().requires_grad_(False)
    network.flow.exit.weight.mul_(10)
    if network.head is not None:
        network.head.body[-1].weight.normal_(0, 0.3)
        network.prior.copy_(torch.linspace(0.2, 0.6, 41))
    return LoadedModel("physics-flow", network, config.scale, patch_size=config.patch_size)


@pytest.fixture(scope="module")
def model():
    return flow()


@pytest.fixture(scope="module")
def scan():
    values = np.random.default_rng(0).normal(-700, 150, (3, 20, 24)).clip(-1000, 0)
    return Volume(values.astype(np.int16), (0.6, 0.6, 0.6), origin=(1.0, 2.0, 3.0), modality="clinical")


def written(model, scan, folder, suffix=".ome.zarr", progress=None, resume=False, **options):
    names = ("mean", "sigma", "invented")
    mean, sigma, invented = (folder / f"{name}{suffix}" for name in names)
    SuperResolver(model, EnhanceOptions.of(ASKED | options)).enhance_to(
        scan, mean, progress=progress, uncertainty=sigma, invented=invented, resume=resume, slab=1
    )
    return {name: read(folder / f"{name}{suffix}") for name in names}


@pytest.fixture(scope="module")
def made(model, scan, tmp_path_factory):
    folder = tmp_path_factory.mktemp("learnt")
    return folder, written(model, scan, folder)


def test_they_are_what_the_networks_head_says_in_hu_and_against_the_prior(model, scan, made):
    unit = model.window.to_unit(torch.from_numpy(scan.data[:1].astype(np.float32))[None])
    network = model.network
    condition = network.flow.condition(torch.zeros(1), network.scanner[None])
    fine = network.flow.fine(network.flow.coarse(unit, condition), condition)
    sigma = network.head(fine)[0, 0].exp().numpy()
    bicubic = enlarge_bicubic(unit, 4)[0, 0].numpy()
    prior = np.interp(bicubic, np.linspace(-1, 1, 41), network.prior.numpy())
    half = (model.window.high - model.window.low) / 2
    found = made[1]
    assert np.allclose(found["sigma"].array()[0], sigma * half, rtol=1e-3)
    assert np.allclose(found["invented"].array()[0], (sigma / prior).clip(0, 1), atol=1e-3)


def test_they_lie_on_the_grid_of_the_mean_which_is_the_same_without_them(model, scan, made):
    found = made[1]
    plain = SuperResolver(model, EnhanceOptions.of({"precision": "float32", "tile": 8})).enhance(scan)
    assert np.abs(found["mean"].array().astype(int) - plain.data).max() <= 1
    for name in ("sigma", "invented"):
        assert found[name].shape == found["mean"].shape and np.allclose(found[name].affine, found["mean"].affine)


def test_tiles_cannot_be_told_from_the_whole(model, scan, made, tmp_path):
    whole = written(model, scan, tmp_path, suffix=".nii.gz", tile=64)
    assert np.allclose(whole["sigma"].array(), made[1]["sigma"].array(), rtol=1e-3)
    assert np.allclose(whole["invented"].array(), made[1]["invented"].array(), atol=1e-3)


def test_interrupted_work_goes_on_to_the_same_bytes(model, scan, made, tmp_path):
    def stop(done):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        written(model, scan, tmp_path, progress=stop)
    written(model, scan, tmp_path, resume=True)
    for store in ("mean.ome.zarr", "sigma.ome.zarr", "invented.ome.zarr"):
        files = [one.relative_to(tmp_path) for one in (tmp_path / store).rglob("*") if one.is_file()]
        assert files
        for file in files:
            assert (tmp_path / file).read_bytes() == (made[0] / file).read_bytes(), file


def test_a_sample_has_a_map_of_what_is_invented_too(model, scan, made, tmp_path):
    options = EnhanceOptions.of({"output": "sample", "invented": True, "precision": "float32", "tile": 8})
    SuperResolver(model, options).enhance_to(scan, tmp_path / "a.nii.gz", invented=tmp_path / "b.nii.gz")
    assert np.allclose(read(tmp_path / "b.nii.gz").array(), made[1]["invented"].array(), atol=1e-3)


@pytest.mark.parametrize("asked", ["uncertainty", "invented"])
def test_a_model_without_the_head_refuses_in_one_line(asked):
    for model in (flow(deviation=False), LoadedModel("bicubic", None, 4)):
        with pytest.raises(OptionError, match=rf"^`{asked}`: {model.name} has not learnt how far it may be off.*\Z"):
            SuperResolver(model, EnhanceOptions.of({asked: True}))


@pytest.mark.parametrize("other", [{"samples": 2}, {"output": "sample"}, {"stitch": "slice"}])
def test_what_contradicts_a_learnt_deviation_is_refused(other):
    with pytest.raises(CtLoupeError, match="`uncertainty`"):
        EnhanceOptions.of({"uncertainty": True} | other)
