"""Slabs on a Dask cluster: two real worker processes, one of them killed half-way."""

import signal
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.resolver import SuperResolver
from ctloupe.enhance.store.cluster import finished_slabs, grouped
from ctloupe.enhance.store.journal import FinishedSlab
from ctloupe.enhance.store.scan_file import PartOfFile, ScanFile
from ctloupe.enhance.store.stream import slabs_of
from ctloupe.foundation.errors import OptionError
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.formats import read, write
from ctloupe.volume.volume import Volume
from small_cluster import small_cluster
from small_enhancers import small_enhancer

pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")


def scan():
    values = np.random.default_rng(0).normal(-800, 150, (40, 64, 64)).round().astype(np.int16)
    return Volume(values, (2.0, 0.8, 0.6), modality="clinical", units="HU")


def resolver():
    network = small_enhancer("sr-cyclegan", 4, fixed=False)
    return SuperResolver(LoadedModel("test", network, 4, IntensityWindow(-1000, 500), None, 8))


def files(store):
    return {path.relative_to(store): path.read_bytes() for path in sorted(Path(store).rglob("*")) if path.is_file()}


@pytest.fixture
def cluster(tmp_path):
    """Address of a scheduler, and its two worker processes without a nanny to bring them back."""
    with small_cluster(tmp_path) as found:
        yield found


@pytest.mark.slow
@pytest.mark.thorough
def test_with_a_worker_lost_half_way_the_store_is_the_same_to_the_byte(tmp_path, cluster):
    from distributed import Client

    address, workers = cluster
    path = write(scan(), tmp_path / "scan.nii.gz")
    resolver().enhance_to(read(path), tmp_path / "here.ome.zarr")
    with Client(address) as client:
        client.wait_for_workers(2, timeout=60)
    told = []

    def kill_one(done):
        told.append(done)
        if done >= 10 and workers[0].poll() is None:
            workers[0].send_signal(signal.SIGKILL)
            workers[0].wait()

    lines = []
    asked = {"slab": 2, "scheduler": address, "progress": kill_one, "tell": lines.append}
    resolver().enhance_to(read(path), tmp_path / "there.ome.zarr", file=ScanFile.of(path), **asked)
    assert workers[0].poll() is not None and workers[1].poll() is None
    assert told[-1] == 40
    assert "plan: the workers read the scan themselves (2 of 2 see it)" in lines
    assert files(tmp_path / "there.ome.zarr") == files(tmp_path / "here.ome.zarr")
    # Of the worker that is left nothing is known but that it does not see such a file.
    elsewhere = replace(ScanFile.of(path), path=tmp_path / "elsewhere.nii.gz")
    asked = {"region": (slice(0, 2), slice(0, 64), slice(0, 64)), "scheduler": address, "tell": lines.append}
    resolver().enhance_to(read(path), tmp_path / "sent.ome.zarr", file=elsewhere, **asked)
    assert lines[-1] == f"plan: the scan (0 MB) is sent to the workers (0 of 1 see {elsewhere.path} as it is here)"
    here = read(tmp_path / "here.ome.zarr").data[:2]
    np.testing.assert_array_equal(read(tmp_path / "sent.ome.zarr").array(), here)


@pytest.mark.slow
@pytest.mark.thorough
def test_no_scheduler_at_the_address_is_an_error_that_names_it(tmp_path, monkeypatch):
    with pytest.raises(OptionError, match=r"`scheduler` tcp://127\.0\.0\.1:9"):
        resolver().enhance_to(scan(), tmp_path / "there.ome.zarr", scheduler="tcp://127.0.0.1:9")
    assert list(tmp_path.iterdir()) == []


def test_a_scan_is_seen_as_long_as_its_files_stay_what_they_were(tmp_path):
    path = write(scan(), tmp_path / "scan.ome.zarr")
    file = ScanFile.of(path)
    assert file.is_seen()
    assert not replace(file, path=tmp_path / "other.ome.zarr").is_seen()
    chunk = max((one for one in path.rglob("*") if one.is_file()), key=lambda one: one.stat().st_size)
    chunk.write_bytes(chunk.read_bytes() + b"more")
    assert not file.is_seen()


def test_a_part_is_read_from_its_file_as_it_was_read_here(tmp_path):
    path = write(scan(), tmp_path / "scan.ome.zarr")
    region = slice(3, 9), slice(0, 64), slice(8, 40)
    mask = np.zeros((6, 64, 32), bool)
    found = PartOfFile(ScanFile.of(path, spacing=(0.8, 0.6)), region, mask).read()
    np.testing.assert_array_equal(found.scan.data, scan().array()[region])
    assert found.first == 3 and found.mask is mask
    np.testing.assert_array_equal(found.around[0].data, scan().array()[2:3, :, 8:40])


def test_an_answer_of_other_slices_or_of_another_version_is_refused_in_a_line():
    slab = FinishedSlab(slices=(0, 2), residual=(1.0, 0.0, 3), tiles=(1, 0), marks={"values": ((1, 2), (3, 4))})
    answer = [slab.model_dump(mode="json")]
    assert finished_slabs(answer, (0, 2)) == [slab]
    with pytest.raises(OptionError, match="answer of a worker: expected slices 0 to 4"):
        finished_slabs(answer, (0, 4))
    for damaged in (None, [{"slices": [0, 2]}], [answer[0] | {"tiles": "many"}]):
        with pytest.raises(OptionError, match=r"answer of a worker: .*let all workers"):
            finished_slabs(damaged, (0, 2))


@given(st.sets(st.integers(0, 60)), st.integers(1, 4), st.integers(0, 5))
def test_tasks_hold_every_slab_once_in_order_and_end_with_single_ones(finished, size, workers):
    slabs = slabs_of(50, size, finished)
    tasks = grouped(slabs, workers)
    assert [slab for task in tasks for slab in task] == slabs
    assert all(one[1] == other[0] for task in tasks for one, other in pairwise(task))
    assert all(len(task) == 1 for task in tasks[-2 * max(1, workers) :])
