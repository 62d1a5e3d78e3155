"""A command that is stopped from outside says how to go on, and leaves with the status of the signal."""

import os
import signal

import numpy as np
import pytest

from ctloupe.cli.main import main
from ctloupe.cli.progress import ConsoleProgress
from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume


@pytest.fixture
def stopped(tmp_path, monkeypatch, capsys):
    """A function that enhances scans, sends a signal after the first slices, and returns status and last line."""
    scan = Volume(np.zeros((4, 12, 12), np.int16), (0.6, 0.6, 0.6), modality="clinical", units="HU")
    (tmp_path / "scans").mkdir()
    for name in ("a", "b"):
        write(scan, tmp_path / "scans" / f"{name}.nii.gz")

    def call(number, scans, out):
        monkeypatch.setattr(ConsoleProgress, "update", lambda self, done, note="": os.kill(os.getpid(), number))
        command = ["enhance", tmp_path / scans, "-o", tmp_path / out, "--model", "bicubic", "--scale", 2, "--slab", 1]
        monkeypatch.setattr("sys.argv", ["ctloupe", *map(str, command)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, capsys.readouterr().err.splitlines()[-1]

    return call


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_store_keeps_what_is_finished(tmp_path, stopped, number, status):
    code, line = stopped(number, "scans/a.nii.gz", "fine.ome.zarr")
    assert code == status
    assert line.endswith("fine.ome.zarr: stopped; 1 of 4 slices are kept, and the same command with --resume goes on")
    assert not (tmp_path / "fine.ome.zarr").exists()


def test_a_format_that_is_written_at_once_leaves_nothing(tmp_path, stopped):
    code, line = stopped(signal.SIGTERM, "scans/a.nii.gz", "fine.nii.gz")
    assert code == 143
    assert "fine.nii.gz: stopped; nothing was written" in line
    assert [path.name for path in tmp_path.iterdir()] == ["scans"]


def test_a_folder_of_scans_does_not_go_on_to_the_next(tmp_path, stopped):
    code, line = stopped(signal.SIGTERM, "scans", "fine")
    assert code == 143
    assert "a.ome.zarr: stopped; 1 of 4 slices are kept" in line and line.endswith("; 0 of 2 volumes are finished")
    assert [path.name for path in (tmp_path / "fine").iterdir()] == [".a.ome.zarr.unfinished"]
