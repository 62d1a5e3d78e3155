"""What a killed process left behind is removed by the next run of the same output, and nothing else is."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ctloupe.foundation import leftovers
from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.leftovers import full_suffix, hidden_name, remove, remove_leftovers, sweep


def names(folder):
    return sorted(one.name for one in folder.iterdir())


WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from ctloupe.foundation.atomic import replacing
with replacing(Path(sys.argv[1])) as temporary:
    if sys.argv[2] == "folder":
        temporary.mkdir()
        temporary /= "chunk"
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(path, kind="file"):
    """Write a file or folder in a process of its own, which is killed before the end; return its number."""
    process = subprocess.Popen([sys.executable, "-c", WRITE_AND_DIE, str(path), kind])
    assert process.wait() == -signal.SIGKILL
    return process.pid


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_process_left_is_removed_by_the_next_run_of_the_same_output(tmp_path, kind):
    killed(tmp_path / "scan.nii.gz", kind)
    assert len(names(tmp_path)) == 1
    with replacing(tmp_path / "other.nii.gz") as temporary:
        temporary.write_text("other")
    assert len(names(tmp_path)) == 2
    with replacing(tmp_path / "scan.nii.gz") as temporary:
        temporary.write_text("whole")
    assert names(tmp_path) == ["other.nii.gz", "scan.nii.gz"]


def test_what_a_living_process_or_another_machine_writes_is_left_alone(tmp_path):
    mine = hidden_name(tmp_path / "scan.mha", "partial")
    dead = killed(tmp_path / "scan.mha")
    left = next(one for one in tmp_path.iterdir())
    elsewhere = tmp_path / f".scan.partial-{dead}-00000000.mha"
    living_of_before = tmp_path / f".scan.partial-{os.getpid()}.mha"
    dead_of_before = tmp_path / f".scan.partial-{dead}.mha"
    unlike = tmp_path / f"scan.partial-{dead}.mha"
    for one in (mine, elsewhere, living_of_before, dead_of_before, unlike):
        one.write_text("kept")
    remove_leftovers(tmp_path / "scan.mha")
    assert not left.exists() and not dead_of_before.exists()
    assert names(tmp_path) == sorted(one.name for one in (mine, elsewhere, living_of_before, unlike))


def test_a_folder_that_was_put_aside_comes_back_when_its_successor_never_came(tmp_path):
    dead = killed(tmp_path / "other")
    aside = tmp_path / f".store.replaced-{dead}.zarr"
    aside.mkdir()
    remove_leftovers(tmp_path / "store.zarr")
    assert (tmp_path / "store.zarr").is_dir() and not aside.exists()
    aside.mkdir()
    remove_leftovers(tmp_path / "store.zarr")
    assert (tmp_path / "store.zarr").is_dir() and not aside.exists()


def test_a_folder_is_swept_of_everything_that_dead_processes_wrote(tmp_path):
    killed(tmp_path / "step-1.ckpt")
    killed(tmp_path / "model", "folder")
    (tmp_path / "step-0.ckpt").write_text("kept")
    sweep(tmp_path)
    assert names(tmp_path) == ["step-0.ckpt"]


def test_a_hidden_name_keeps_the_suffix_and_never_becomes_too_long(tmp_path):
    assert full_suffix(hidden_name(tmp_path / "scan.nii.gz", "partial")) == ".nii.gz"
    long = tmp_path / f"{'ä' * 120}.nii.gz"
    assert len(os.fsencode(hidden_name(long, "replaced").name)) <= 255
    with replacing(long) as temporary:
        temporary.write_text("whole")
    assert names(tmp_path) == [long.name]


def test_a_folder_that_nobody_writes_is_removed_without_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr(leftovers.time, "sleep", lambda _: pytest.fail("waited"))
    for content in ("old", "new"):
        with replacing(tmp_path / "store.ome.zarr", overwrite=True) as temporary:
            temporary.mkdir()
            (temporary / content).touch()
    assert names(tmp_path) == ["store.ome.zarr"]


def test_a_folder_that_a_thread_goes_on_writing_is_removed_for_good(tmp_path):
    folder, end = tmp_path / "folder", time.monotonic() + 0.25
    folder.mkdir()

    def write():
        while time.monotonic() < end:
            (folder / f"{time.monotonic_ns()}").mkdir(parents=True, exist_ok=True)
            time.sleep(0.005)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        remove(folder, still_written=True)
        writing.result()
    assert not folder.exists()
