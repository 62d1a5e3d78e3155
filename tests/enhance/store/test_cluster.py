"""Slabs on a Dask cluster: two real worker processes, one of them killed half-way."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.resolver import SuperResolver
from ctloupe.enhance.store.cluster import finished_slabs
from ctloupe.enhance.store.journal import FinishedSlab
from ctloupe.foundation.errors import OptionError
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.volume import Volume
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
    address = tmp_path / "scheduler.json"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path, "env": environment}
    python = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    scheduler = subprocess.Popen(
        [*python, "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(address)], **quiet
    )
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(address)]
    workers = [
        subprocess.Popen([*worker, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", str(one)], **quiet)
        for one in range(2)
    ]
    for _ in range(300):
        if address.exists():
            break
        time.sleep(0.1)
    import json

    yield json.loads(address.read_text())["address"], workers
    for process in (*workers, scheduler):
        process.kill()
        process.wait()


@pytest.mark.slow
def test_with_a_worker_lost_half_way_the_store_is_the_same_to_the_byte(tmp_path, cluster):
    from distributed import Client

    address, workers = cluster
    resolver().enhance_to(scan(), tmp_path / "here.ome.zarr")
    with Client(address) as client:
        client.wait_for_workers(2, timeout=60)
    told = []

    def kill_one(done):
        told.append(done)
        if done >= 10 and workers[0].poll() is None:
            workers[0].send_signal(signal.SIGKILL)
            workers[0].wait()

    resolver().enhance_to(scan(), tmp_path / "there.ome.zarr", slab=2, scheduler=address, progress=kill_one)
    assert workers[0].poll() is not None and workers[1].poll() is None
    assert told[-1] == 40
    assert files(tmp_path / "there.ome.zarr") == files(tmp_path / "here.ome.zarr")


@pytest.mark.slow
def test_no_scheduler_at_the_address_is_an_error_that_names_it(tmp_path, monkeypatch):
    with pytest.raises(OptionError, match=r"`scheduler` tcp://127\.0\.0\.1:9"):
        resolver().enhance_to(scan(), tmp_path / "there.ome.zarr", scheduler="tcp://127.0.0.1:9")
    assert list(tmp_path.iterdir()) == []


def test_an_answer_of_other_slices_or_of_another_version_is_refused_in_a_line():
    slab = FinishedSlab(slices=(0, 2), residual=(1.0, 0.0, 3), tiles=(1, 0), marks={"values": ((1, 2), (3, 4))})
    answer = [slab.model_dump(mode="json")]
    assert finished_slabs(answer, (0, 2)) == [slab]
    with pytest.raises(OptionError, match="answer of a worker: expected slices 0 to 4"):
        finished_slabs(answer, (0, 4))
    for damaged in (None, [{"slices": [0, 2]}], [answer[0] | {"tiles": "many"}]):
        with pytest.raises(OptionError, match=r"answer of a worker: .*let all workers"):
            finished_slabs(damaged, (0, 2))
