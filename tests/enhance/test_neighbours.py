"""A network that looks at the slices below and above gets those of the whole scan, whatever part is enhanced."""

import numpy as np
import pytest
import torch

from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.preparation import prepared
from ctloupe.enhance.resolver import SuperResolver
from ctloupe.enhance.scan_part import ScanPart
from ctloupe.volume.formats import read
from ctloupe.volume.volume import Volume
from small_enhancers import enhanced, strong_flow


@pytest.fixture(scope="module")
def model():
    return strong_flow(neighbours=True)


@pytest.fixture(scope="module")
def scan():
    values = np.random.default_rng(0).normal(-700, 150, (4, 16, 16)).clip(-1000, 0)
    return Volume(values.astype(np.int16), (1.0, 0.6, 0.6), modality="clinical")


def test_each_slice_is_shown_with_its_neighbours_and_the_nearest_at_the_ends(model, scan):
    made = enhanced(model, scan, precision="float32", flat_field="off")
    for z, three in enumerate(([0, 0, 1], [1, 0, 2], [2, 1, 3], [3, 2, 3])):
        unit = model.window.to_unit(torch.from_numpy(scan.data[three].astype(np.float32))[None])
        expected = model.window.from_unit(model.network(unit))[0, 0].numpy()
        assert np.abs(made[z] - expected).max() <= 1
    alone = model.network(model.window.to_unit(torch.from_numpy(scan.data[1:2].astype(np.float32))[None]))
    assert np.abs(model.window.from_unit(alone)[0, 0].numpy() - made[1]).max() > 10


@pytest.mark.parametrize("options", [{"output": "mean"}, {"output": "sample", "steps": 2}])
def test_some_slices_equal_those_of_the_whole_however_it_is_cut(model, scan, options):
    whole = enhanced(model, scan, tile=8, **options)
    for first, end in ((0, 1), (1, 3)):
        part = enhanced(model, scan, (slice(first, end), slice(0, 16), slice(0, 16)), tile=8, **options)
        assert np.array_equal(part, whole[first:end])
    uncut = enhanced(model, scan, tile=64, precision="float32", **options)
    assert np.abs(enhanced(model, scan, tile=8, precision="float32", **options) - uncut).max() <= 1


@pytest.mark.parametrize("slab", [1, 2])
def test_slabs_and_a_resumed_run_give_the_same_bytes(model, scan, slab, tmp_path):
    resolver = SuperResolver(model, EnhanceOptions.of({"output": "sample", "steps": 1}))

    def stop(done):
        if done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(Exception, match="stopped"):
        resolver.enhance_to(scan, tmp_path / "a.ome.zarr", progress=stop, slab=slab)
    resolver.enhance_to(scan, tmp_path / "a.ome.zarr", resume=True, slab=slab)
    assert np.array_equal(read(tmp_path / "a.ome.zarr").array(), enhanced(model, scan, output="sample", steps=1))


def test_the_network_is_told_the_distance_of_the_slices(model, scan):
    far = Volume(scan.data, (5.0, 0.6, 0.6), modality="clinical")
    assert not np.array_equal(enhanced(model, scan), enhanced(model, far))
    told = []
    prepared(model, EnhanceOptions(), far, None, told.append)
    assert any("slices of 5 mm" in line for line in told)
    told.clear()
    prepared(model, EnhanceOptions(), scan, None, told.append)
    assert not any("slices of" in line for line in told)


def test_the_papers_way_shows_the_neighbours_too(model, scan):
    made = enhanced(model, scan, stitch="slice")
    unit = model.window.to_unit(torch.from_numpy(scan.data[[2, 1, 3]].astype(np.float32))[None])
    assert np.abs(made[2] - model.window.from_unit(model.network(unit))[0, 0].numpy()).max() <= 1


def test_a_part_in_memory_keeps_what_lies_around_it(scan):
    part = ScanPart.of(scan, None, (slice(1, 3), slice(2, 9), slice(4, 11)))
    there = part.in_memory()
    assert np.array_equal(there.planes(0, 2, 1), scan.data[np.array([[0, 1, 2], [1, 2, 3]])][..., 2:9, 4:11])
    assert np.array_equal(there.planes(1, 2, 0), scan.data[2:3, 2:9, 4:11])
