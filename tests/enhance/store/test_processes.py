"""Slabs given to two processes of this machine make the bytes of one, also after one of them was killed."""

import multiprocessing
import os
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.resolver import SuperResolver
from ctloupe.enhance.store.processes import ToldHere, require_devices, tapered
from ctloupe.enhance.store.stream import slabs_of
from ctloupe.foundation.errors import CtLoupeError, OptionError
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.volume import LazyArray, Volume
from small_enhancers import small_enhancer

VALUES = np.random.default_rng(0).normal(-800, 150, (22, 48, 40)).round().astype(np.int16)
MASK = np.zeros(VALUES.shape, bool)
MASK[3:, 8:40, 4:30] = True
REGION = slice(2, 22), slice(0, 48), slice(0, 40)


def enhanced(path, told=None, **options):
    """Enhance a part of a scan that is read on demand, inside a mask."""
    network = small_enhancer("sr-cyclegan", 4, fixed=False)
    resolver = SuperResolver(LoadedModel("test", network, 4, IntensityWindow(-1000, 500), None, 8))
    lazy = LazyArray(VALUES.shape, VALUES.dtype, lambda block: VALUES[block], "scan")
    scan = Volume(lazy, (2.0, 0.8, 0.6), modality="clinical", units="HU")
    lines = [] if told is None else told
    return resolver.enhance_to(scan, path, MASK, REGION, slab=2, tell=lambda line: lines.append(line), **options)


def files(store):
    return {path.relative_to(store): path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module", autouse=True)
def two_cores():
    if (os.cpu_count() or 1) < 2:
        pytest.skip("this machine has one core")


@pytest.mark.slow
def test_two_processes_make_the_bytes_of_one_and_after_a_kill_the_work_goes_on(tmp_path):
    summary = enhanced(tmp_path / "here.ome.zarr")
    killed = []

    def kill_one(done):
        if done >= 4 and not killed:
            killed.extend(multiprocessing.active_children()[:1])
            killed[0].kill()

    with pytest.raises(CtLoupeError, match=r"the process of device \d ended by itself, .* of 20 slices are kept"):
        enhanced(tmp_path / "there.ome.zarr", devices=2, progress=kill_one)
    assert not multiprocessing.active_children() and not (tmp_path / "there.ome.zarr").exists()
    told, done = [], []
    again = enhanced(tmp_path / "there.ome.zarr", told, devices=2, resume=True, progress=done.append)
    assert told[0].startswith("resuming: ") and not told[0].startswith("resuming: 0 ") and done[-1] == 20
    assert files(tmp_path / "there.ome.zarr") == files(tmp_path / "here.ome.zarr")
    assert again.lines() == summary.lines()
    assert not multiprocessing.active_children()
    assert {one.name for one in tmp_path.iterdir()} == {"here.ome.zarr", "there.ome.zarr"}


def test_more_devices_than_there_are_and_what_cannot_be_shared_is_refused(tmp_path):
    for devices in (0, 1000):
        with pytest.raises(OptionError, match=rf"`devices` {devices}: this machine has \d+ of the kind cpu"):
            enhanced(tmp_path / "out.ome.zarr", devices=devices)
    with pytest.raises(OptionError, match="`devices` 2: this machine has 1 of the kind mps"):
        require_devices(2, "mps")
    with pytest.raises(OptionError, match=r"only OME-Zarr .* name it \*\.ome\.zarr"):
        enhanced(tmp_path / "out.nii.gz", devices=2)
    with pytest.raises(OptionError, match="`scheduler` and `devices` exclude each other"):
        enhanced(tmp_path / "out.ome.zarr", devices=2, scheduler="tcp://127.0.0.1:9")
    assert not list(tmp_path.iterdir())


def test_lines_are_told_in_this_process_alone():
    told = []
    tell = ToldHere(told.append)
    tell("here")
    pickle.loads(pickle.dumps(tell))("elsewhere")
    assert told == ["here"]


@given(st.sets(st.integers(0, 49)), st.integers(1, 5), st.integers(1, 4))
def test_slabs_hold_every_slice_that_is_left_once_and_end_with_single_ones(finished, size, workers):
    slabs = slabs_of(50, size, finished)
    assert [z for run in slabs for z in range(*run)] == sorted(set(range(50)) - finished)
    assert all(begin // size == (end - 1) // size for begin, end in slabs)
    cut = tapered(slabs, workers)
    assert [z for run in cut for z in range(*run)] == [z for run in slabs for z in range(*run)]
    assert all(end - begin == 1 for begin, end in cut[-2 * workers :])
