"""OME-Zarr over HTTP: only what is needed is asked for, what is missing is told, and nothing is written."""

import shutil
import socket

import numpy as np
import pytest
import zarr

from ctloupe.foundation.errors import CtLoupeError, FileError, OptionError
from ctloupe.foundation.location import location
from ctloupe.volume.formats import coarser, format_of, format_of_output, read, require_writable, write
from ctloupe.volume.formats.ome_zarr.writer import OmeZarrWriter
from ctloupe.volume.summary import summarise
from ctloupe.volume.volume import Volume
from remote_servers import file_server

pytest.importorskip("obstore", reason="the extra 'remote' is not installed")


def scan():
    values = np.random.default_rng(0).integers(-1000, 400, (6, 600, 1100), dtype=np.int16)
    return Volume(values, (2.0, 0.5, 0.5), (3.0, -4.0, 5.0), modality="clinical", units="HU")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with a store of six slices, each of six chunks in one shard, and a coarser level."""
    folder = tmp_path_factory.mktemp("served")
    with OmeZarrWriter.like(scan(), folder / "scan.ome.zarr", np.int16, levels=1) as writer:
        writer.write(0, scan().data)
    return folder


@pytest.fixture
def served(kept, monkeypatch):
    monkeypatch.setenv("CTLOUPE_REMOTE_PATIENCE", "0.2")
    with file_server(kept) as server:
        yield server


@pytest.fixture
def damaged(kept, tmp_path, monkeypatch):
    """A server of a copy that may be damaged."""
    monkeypatch.setenv("CTLOUPE_REMOTE_PATIENCE", "0.2")
    shutil.copytree(kept / "scan.ome.zarr", tmp_path / "scan.ome.zarr")
    with file_server(tmp_path) as server:
        yield server


def test_a_store_on_a_server_is_the_same_volume_as_on_the_disk(served, kept):
    there, here = read(f"{served.address}/scan.ome.zarr"), read(kept / "scan.ome.zarr")
    assert np.array_equal(there.array(), here.array())
    assert np.array_equal(there.affine, here.affine) and there.units == here.units and there.history == here.history
    place = location(f"{served.address}/scan.ome.zarr/")
    assert summarise(there, place) == summarise(here, kept / "scan.ome.zarr")
    finer, local = coarser(place, there), coarser(kept / "scan.ome.zarr", here)
    assert [one.shape for one in finer] == [one.shape for one in local] == [(6, 300, 550)]
    assert np.array_equal(finer[0].array(), local[0].array())


def test_opening_asks_for_metadata_only_and_a_region_for_its_own_chunks_only(served, kept):
    volume = read(f"{served.address}/scan.ome.zarr")
    assert not served.chunks() and len(served.asked) < 20
    whole = (kept / "scan.ome.zarr/0/c/3/0/0").stat().st_size
    served.asked.clear()
    assert np.array_equal(volume.data[3, 520:560, 10:50], scan().data[3, 520:560, 10:50])
    assert served.chunks() == ["scan.ome.zarr/0/c/3/0/0"]
    # Of the shard its index and one chunk of 6, however the server's answers are divided.
    assert len(served.asked) == 2 and sum(sent for _, sent in served.asked) < whole / 3
    served.asked.clear()
    volume.data[1:3]
    assert served.chunks() == [f"scan.ome.zarr/0/c/{z}/0/0" for z in (1, 2)] and len(served.asked) == 2


def test_a_missing_chunk_of_a_store_that_promises_all_is_told_when_it_is_read(damaged):
    (damaged.folder / "scan.ome.zarr/0/c/2/0/0").unlink()
    volume = read(f"{damaged.address}/scan.ome.zarr")
    assert np.array_equal(volume.data[3], scan().data[3])
    with pytest.raises(FileError, match=r"^http://127\.0\.0\.1:\d+/scan\.ome\.zarr/0/c/2/0/0: is missing"):
        volume.data[2]


def test_a_damaged_chunk_is_told(damaged):
    chunk = damaged.folder / "scan.ome.zarr/0/c/2/0/0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(FileError, match=r"scan\.ome\.zarr/0: a chunk is damaged"):
        read(f"{damaged.address}/scan.ome.zarr").array()


def test_a_header_that_promises_more_than_the_memory_holds_is_refused_before_anything_is_read(damaged):
    header = damaged.folder / "scan.ome.zarr/0/zarr.json"
    header.write_text(header.read_text().replace("600", "16000000").replace("1100", "16000000"))
    with pytest.raises(FileError, match="of memory are free"):
        read(f"{damaged.address}/scan.ome.zarr")


@pytest.mark.parametrize("name", ["a study", "a%20study"])
def test_an_address_may_be_written_as_browsers_do(damaged, name):
    # The server looks for what it was sent, which is always the second.
    shutil.copytree(damaged.folder / "scan.ome.zarr", damaged.folder / "a%20study" / "scan.ome.zarr")
    assert np.array_equal(read(f"{damaged.address}/{name}/scan.ome.zarr").data[0], scan().data[0])


def test_a_store_of_another_program_in_zarr_2_is_read_and_absent_chunks_hold_the_fill_value(tmp_path, monkeypatch):
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [3.0, 2.0, 2.0]}]
    image = {"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    group = zarr.open_group(tmp_path / "other.zarr", mode="w", zarr_format=2, attributes={"multiscales": [image]})
    array = group.create_array("0", shape=(4, 8, 8), chunks=(2, 8, 8), dtype="uint16", fill_value=7)
    array[:2] = 5
    with file_server(tmp_path) as server:
        volume = read(f"{server.address}/other.zarr")
        assert volume.spacing == pytest.approx((0.003, 0.002, 0.002))
        assert np.array_equal(volume.array()[:, 0, 0], [5, 5, 7, 7])


def test_a_server_that_gives_no_parts_of_files_is_told(served):
    served.with_ranges = False
    with pytest.raises(FileError, match="HTTP ranges"):
        read(f"{served.address}/scan.ome.zarr").data[0, :10, :10]


def test_where_nothing_is_and_where_no_server_is_one_line_says_so(served):
    with pytest.raises(FileError, match=r"none\.ome\.zarr: nothing readable is there; expected an OME-Zarr store"):
        read(f"{served.address}/none.ome.zarr")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(FileError, match=r"zarr\.json: cannot be read: the server does not answer"):
        format_of(f"http://127.0.0.1:{port}/scan.ome.zarr")


@pytest.mark.parametrize("name", ["http://127.0.0.1:1/a.ome.zarr", "https://127.0.0.1:1/a.ome.zarr"])
def test_web_servers_are_only_read_and_nothing_is_asked_of_them_for_it(name):
    for asked in (format_of_output, require_writable):
        with pytest.raises(OptionError, match="web servers are only read; write to s3:// or gs://"):
            asked(name)


def test_other_formats_are_refused_on_servers(tmp_path):
    with pytest.raises(OptionError, match=r"only OME-Zarr is written to a server; name it \*\.ome\.zarr"):
        format_of_output("s3://bucket/fine.nii.gz")
    small = Volume(np.zeros((2, 4, 4), np.int16), (1.0, 1.0, 1.0))
    with pytest.raises(CtLoupeError, match="only what enhance makes is written to a server"):
        write(small, "s3://bucket/fine.ome.zarr")
    assert not list(tmp_path.iterdir())
