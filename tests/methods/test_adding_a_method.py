"""The worked example of docs/adding-a-method.md, taken from the page and used as somebody's own package."""

import json

import numpy as np
import pytest
import torch

from ctloupe.enhance.network.tiles import TiledNetwork
from ctloupe.volume.formats import read, write
from ctloupe.volume.volume import Volume
from example_package import code_of, installed
from small_enhancers import enhanced_slice

pytestmark = pytest.mark.slow

PAGE = "adding-a-method.md"


@pytest.fixture(scope="module")
def ctloupe(tmp_path_factory):
    """A function that runs the command line where the example is installed."""
    return installed(PAGE, tmp_path_factory.mktemp("site"))


def test_the_example_is_listed_and_costed(ctloupe):
    assert "refiner" in [one["name"] for one in json.loads(ctloupe("models", "--json"))]
    shown = json.loads(ctloupe("models", "show", "refiner", "--preset", "tiny", "--json"))
    assert shown["parameters"]["refiner"] == 25 * 8 + 8 + 25 * 8 + 1
    assert shown["gflop_per_sample"]["train_step"] > 0


def test_the_example_trains_resumes_enhances_and_is_evaluated(ctloupe, small_bank, tmp_path):
    run = tmp_path / "run"
    sizes = ["--set", "scale=4", "--set", "patch_size=12", "--set", "batch_size=2"]
    ctloupe(
        "train", "--bank", small_bank, "--method", "refiner", "--preset", "tiny", "--steps", 2, "--out", run, *sizes
    )
    ctloupe("train", "--resume", run, "--steps", 4)
    values = np.random.default_rng(0).normal(-800, 100, (2, 20, 20)).astype(np.int16)
    write(Volume(values, (0.6, 0.6, 0.6), units="HU"), tmp_path / "scan.nii.gz")
    paths = tmp_path / "scan.nii.gz", tmp_path / "fine.nii.gz"
    ctloupe("enhance", paths[0], "-o", paths[1], "--model", run / "model", "--mask", "none")
    assert read(paths[1]).shape == (2, 80, 80)
    found = json.loads(ctloupe("evaluate", "--input", paths[0], "--output", paths[1], "--json"))
    assert list(found["rows"]) == ["bicubic", "enhanced"]


def test_the_split_network_is_rendered_in_tiles_that_overlap_less_and_equal_the_whole():
    names = {}
    exec(compile(code_of(PAGE), PAGE, "exec"), names)
    torch.manual_seed(0)
    network = names["SplitRefiner"](4, 8).eval().requires_grad_(False)
    tiled = TiledNetwork(network, network, 4)
    assert tiled.is_split and tiled.of_tile.halo < tiled.whole.halo
    hu = np.random.default_rng(0).normal(-700, 100, (24, 20)).astype(np.float32)
    small, whole = (enhanced_slice(network, 4, hu, tile) for tile in ((7, 6), (24, 20)))
    assert np.abs(small.astype(int) - whole).max() <= 1
