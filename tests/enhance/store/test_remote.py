"""Enhancing to a real S3 server: whole or not there, resumed to the byte after kills of either side."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.request import EnhanceRequest, enhance_files
from ctloupe.enhance.resolver import SuperResolver, load_model
from ctloupe.enhance.store.stores import Stores
from ctloupe.foundation.errors import CtLoupeError, FileError, Interrupted, OptionError
from ctloupe.foundation.location import location
from ctloupe.foundation.lock import Holder
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.formats import read, write
from ctloupe.volume.formats.ome_zarr.remote import clear
from ctloupe.volume.volume import Volume
from remote_servers import SECRET, can_serve_s3, s3_server, upload
from small_cluster import small_cluster
from small_enhancers import small_enhancer

pytestmark = pytest.mark.skipif(not can_serve_s3(), reason="the extras 'remote' and 'dev' are not installed")

ROOT = Path(__file__).resolve().parents[3]
OUT = "s3://bucket/fine.ome.zarr"


def scan():
    values = np.random.default_rng(0).normal(-800, 150, (9, 24, 28)).round().astype(np.int16)
    return Volume(values, (2.0, 0.8, 0.6), (3.0, -4.0, 5.0), modality="clinical", units="HU")


def files(store):
    return {path.relative_to(store): path.read_bytes() for path in sorted(Path(store).rglob("*")) if path.is_file()}


def interpolate(path, **options):
    load_model("bicubic", 4).enhance_to(scan(), path, slab=2, **options)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def server(running):
    """The server with an empty bucket."""
    for one, _ in location("s3://bucket/x").parent.inside():
        one.unlink()
    return running


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What the same work writes to a disk."""
    path = tmp_path_factory.mktemp("whole") / "fine.ome.zarr"
    interpolate(path)
    return files(path)


def there(server):
    """Names in the bucket, of what is no empty folder."""
    return sorted({path.relative_to(server.bucket).parts[0] for path in server.bucket.rglob("*") if path.is_file()})


def test_a_store_on_a_server_has_the_bytes_of_one_on_a_disk_and_nothing_else_is_left(server, whole):
    interpolate(OUT)
    assert files(server.bucket / "fine.ome.zarr") == whole and there(server) == ["fine.ome.zarr"]
    assert np.array_equal(read(OUT).array(), load_model("bicubic", 4).enhance(scan()).data)


def test_what_exists_stays_unless_it_may_be_replaced_and_then_nothing_of_it_is_left(server, whole):
    interpolate(OUT)
    old = location(f"{OUT}/0/of-before")
    old.write_bytes(b"old")
    with pytest.raises(FileError, match=r"^s3://bucket/fine\.ome\.zarr: exists already; give `overwrite`"):
        interpolate(OUT)
    said = []
    interpolate(OUT, resume=True, tell=said.append)
    assert said == [f"{OUT} is finished already, nothing was written"] and old.exists()

    def old_is_still_there(done):
        assert read(OUT).shape == (9, 96, 112) and old.exists()

    interpolate(OUT, overwrite=True, progress=old_is_still_there)
    assert files(server.bucket / "fine.ome.zarr") == whole and there(server) == ["fine.ome.zarr"]


@pytest.mark.slow
@pytest.mark.thorough
def test_two_workers_of_a_cluster_read_the_scan_and_write_the_store_on_the_server(server, tmp_path):
    """A core facility with its scans on an object store."""
    pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")
    write(scan(), tmp_path / "scan.ome.zarr")
    upload(tmp_path / "scan.ome.zarr", location("s3://bucket/scan.ome.zarr"))
    options = {"model": "bicubic", "scale": 4, "mask": "none", "slab": 2, "preview": False}
    said = []
    with small_cluster(tmp_path) as (scheduler, _):
        request = EnhanceRequest(location("s3://bucket/scan.ome.zarr"), location(OUT), scheduler=scheduler, **options)
        enhance_files(request, said.append)
    assert any("the workers read the scan themselves" in line for line in said)
    enhance_files(EnhanceRequest(tmp_path / "scan.ome.zarr", tmp_path / "fine.ome.zarr", **options))
    assert files(server.bucket / "fine.ome.zarr") == files(tmp_path / "fine.ome.zarr")


def stopped(at=4):
    def stop(done):
        if done >= at:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=f"{at} of 9 slices are kept"):
        interpolate(OUT, progress=stop)


def test_stopped_work_is_no_store_and_goes_on_where_it_was(server, whole):
    stopped()
    assert there(server) == [".fine.ome.zarr.unfinished"]
    with pytest.raises(FileError, match="nothing readable is there"):
        read(OUT)
    told, said = [], []
    interpolate(OUT, resume=True, progress=told.append, tell=said.append)
    assert "resuming: 4 of 9 slices are done" in said and told == [6, 8, 9]
    assert files(server.bucket / "fine.ome.zarr") == whole and there(server) == ["fine.ome.zarr"]


def test_what_somebody_else_put_there_meanwhile_is_not_taken_away(server):
    stopped()
    other = location(f"{OUT}/.zgroup")
    other.write_bytes(b"{}")
    with pytest.raises(FileError, match="exists already; give `overwrite`"):
        interpolate(OUT, resume=True)
    assert other.is_file() and len(there(server)) == 2


def test_what_is_no_store_is_not_taken_for_a_finished_one(server):
    location(f"{OUT}/0/zarr.json").write_bytes(b"{}")
    with pytest.raises(FileError, match="exists already; give `overwrite`"):
        interpolate(OUT, resume=True)


@pytest.mark.parametrize("damage", [lambda chunk: chunk.unlink(), lambda chunk: chunk.write_bytes(b"changed")])
def test_slices_that_are_gone_or_changed_on_the_server_are_made_again(server, whole, damage):
    stopped()
    damage(location("s3://bucket/.fine.ome.zarr.unfinished/values.ome.zarr/1/c/2/0/0"))
    said = []
    interpolate(OUT, resume=True, tell=said.append)
    assert any("the first at slice 2, are damaged or gone" in line for line in said)
    assert files(server.bucket / "fine.ome.zarr") == whole


KILLED = """
import os, signal, sys
import numpy as np
from ctloupe.enhance.request import EnhanceRequest, enhance_files
from ctloupe.enhance.store import stream
from ctloupe.enhance.store.journal import Journal
from ctloupe.foundation.location import location
from ctloupe.volume.formats.ome_zarr import remote

def kill(*ignored):
    os.kill(os.getpid(), signal.SIGKILL)

record, count = Journal.record, 0
def recording(self, slab):
    global count
    record(self, slab)
    count += 1
    if count == 2 and sys.argv[1] == "working":
        kill()
Journal.record = recording
copy = remote.Remote.copy_to
def copying(self, other):
    copy(self, other)
    if "/1/c/4/" in other.key and sys.argv[1] == "publishing":
        kill()
remote.Remote.copy_to = copying
enhance_files(EnhanceRequest(
    location(sys.argv[2]), location(sys.argv[3]), "bicubic", scale=4, mask="none", slab=2, preview=False,
    overwrite=True,
))
"""


@pytest.mark.parametrize("moment", ["working", pytest.param("publishing", marks=pytest.mark.slow)])
def test_after_a_kill_in_the_middle_the_same_bytes_come_out(server, tmp_path, moment):
    write(scan(), tmp_path / "scan.ome.zarr")
    upload(tmp_path / "scan.ome.zarr", location("s3://bucket/scan.ome.zarr"))
    asked = EnhanceRequest(
        location("s3://bucket/scan.ome.zarr"), location(OUT), "bicubic", scale=4, mask="none", slab=2, preview=False
    )
    enhance_files(asked)
    before = files(server.bucket / "fine.ome.zarr")
    if moment == "working":
        clear(location(OUT))
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    command = [sys.executable, str(script), moment, str(asked.scan), str(asked.out)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert not (server.bucket / "fine.ome.zarr" / "zarr.json").exists()
    assert there(server)[:2] == [".fine.ome.zarr.lock", ".fine.ome.zarr.unfinished"]
    said = []
    again = EnhanceRequest(**{**vars(asked), "resume": True})
    enhance_files(again, said.append)
    assert f"resuming: {4 if moment == 'working' else 9} of 9 slices are done" in said
    assert files(server.bucket / "fine.ome.zarr") == before and there(server) == ["fine.ome.zarr", "scan.ome.zarr"]


def test_when_the_server_dies_in_the_middle_one_line_says_so_and_the_work_goes_on_when_it_is_back(server, whole):
    def die(done):
        if done == 4:
            server.kill()

    with pytest.raises(FileError) as told:
        interpolate(OUT, progress=die)
    server.start()
    said = str(told.value)
    assert "\n" not in said and said.startswith("s3://bucket/.fine.ome.zarr.unfinished/")
    assert "cannot be written: the server does not answer, or broke off" in said
    assert said.endswith("of 9 slices are kept, and the same command with `resume` goes on")
    interpolate(OUT, resume=True)
    assert files(server.bucket / "fine.ome.zarr") == whole and there(server) == ["fine.ome.zarr"]


def test_one_process_at_a_time_writes_and_a_lock_of_another_machine_is_never_taken_over(server):
    def meanwhile(done):
        with pytest.raises(FileError, match=rf"process {os.getpid()} .* is writing it"):
            interpolate(OUT, resume=True)

    interpolate(OUT, progress=meanwhile)
    lock = location("s3://bucket/.other.ome.zarr.lock")
    elsewhere = Holder.this().model_copy(update={"host": f"not-{socket.gethostname()}"})
    lock.write_bytes(elsewhere.model_dump_json().encode())
    with pytest.raises(FileError, match=r"has been writing it since .* delete s3://bucket/\.other\.ome\.zarr\.lock"):
        interpolate("s3://bucket/other.ome.zarr")


def test_maps_lie_beside_the_volume_and_all_of_it_in_one_bucket(server, tmp_path):
    network = small_enhancer("bayes-cyclegan", 4, fixed=False)
    model = LoadedModel("bayes-cyclegan", network, 4, IntensityWindow(-1000, 500), None, 8)
    resolver = SuperResolver(model, EnhanceOptions(samples=2))
    resolver.enhance_to(scan(), OUT, uncertainty="s3://bucket/sigma.ome.zarr")
    assert there(server) == ["fine.ome.zarr", "sigma.ome.zarr"]
    local = tmp_path / "fine.ome.zarr", tmp_path / "sigma.ome.zarr"
    resolver.enhance_to(scan(), local[0], uncertainty=local[1])
    assert all(files(server.bucket / one.name) == files(one) for one in local)
    for out, other in ((OUT, local[1]), (local[0], "s3://bucket/sigma.ome.zarr"), (OUT, "s3://other/sigma.ome.zarr")):
        with pytest.raises(OptionError, match="put all of it on this disk, or into one bucket"):
            resolver.enhance_to(scan(), out, uncertainty=other, overwrite=True)


@pytest.mark.parametrize(
    ("changed", "bucket", "told"),
    [
        ({"AWS_SECRET_ACCESS_KEY": f"wrong-{SECRET}"}, "bucket", r"permission denied \(403\)"),
        ({}, "missing", "there is no such bucket"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "bucket", "the server does not answer"),
    ],
)
def test_what_a_server_refuses_is_one_line_without_its_words_or_ours(server, monkeypatch, changed, bucket, told):
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CtLoupeError, match=told) as refused:
        interpolate(f"s3://{bucket}/fine.ome.zarr")
    said = str(refused.value)
    assert "\n" not in said and SECRET not in said and "Signature" not in said
    assert refused.value.__cause__ is None and refused.value.__suppress_context__


def test_workers_find_the_stores_of_unfinished_work_by_its_address(server):
    stopped()
    found = Stores.reopen(location("s3://bucket/.fine.ome.zarr.unfinished"))
    assert list(found.all) == ["values"] and found.all["values"].shape == (9, 96, 112)
