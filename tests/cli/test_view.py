"""`ctloupe view` on the command line."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from ctloupe.cli.main import main
from ctloupe.volume.formats import write
from ctloupe.volume.geometry import refined_grid
from ctloupe.volume.volume import Volume


@pytest.fixture
def volumes(tmp_path):
    values = np.random.default_rng(0).integers(-1000, 200, (4, 20, 20)).astype(np.int16)
    scan = Volume(values, (2.0, 0.8, 0.8), modality="clinical", units="HU")
    spacing, origin = refined_grid(scan.spacing, scan.origin, scan.direction, 2)
    write(scan, tmp_path / "scan.nii.gz")
    write(Volume(values.repeat(2, 1).repeat(2, 2), spacing, origin, units="HU"), tmp_path / "fine.mha")
    return tmp_path / "scan.nii.gz", tmp_path / "fine.mha"


def test_a_picture_and_a_page_are_written_and_named(ctloupe, volumes, tmp_path):
    scan, fine = volumes
    out = ctloupe("view", scan, f"mine={fine}", "--shot", tmp_path / "a.png", "--export", tmp_path / "a.html")
    assert out.split() == [str(tmp_path / "a.html"), str(tmp_path / "a.png")]
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert '"mine"' in page and '"scan"' in page and "fine.mha" not in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.nii"], "none.nii: no such file"),
        (["scan.nii.gz", "--shot", "a.jpg"], "--shot a.jpg: expected a name that ends in .png"),
        (["scan.nii.gz", "--shot", "a.png", "--roi", "0:9,0:1,0:1"], "--roi"),
        (["scan.nii.gz", "--case", "one"], "--case is for the folder of a suite"),
        (["scan.nii.gz", "--export", "scan.nii.gz"], "--export"),
        (["scan.nii.gz", "--window", "1"], "--window 1: expected 2 numbers"),
    ],
)
def test_bad_requests_are_one_line(volumes, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ctloupe", "view", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    told = capsys.readouterr().err
    assert stop.value.code == 2 and told.count("\n") == 1, told
    assert told.startswith("ctloupe: ") and words in told
    assert sorted(one.name for one in tmp_path.iterdir()) == ["fine.mha", "scan.nii.gz"]


def test_the_server_answers_who_has_the_link_logs_nothing_and_ends_with_ctrl_c(volumes, tmp_path):
    command = [sys.executable, "-m", "ctloupe.cli.main", "view", *map(str, volumes), "--no-browser"]
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    server = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    try:
        link = server.stdout.readline().strip()
        port = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?token=[\w-]{40,}", link)[1]
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        assert opener.open(link, timeout=30).status == 200
        assert opener.open(f"http://127.0.0.1:{port}/api/tile/0/0/0/1/0/0", timeout=30).status == 200
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/scene", timeout=30)
        time.sleep(0.2)
        server.send_signal(signal.SIGINT)
        rest, told = server.communicate(timeout=30)
    finally:
        server.kill()
    assert server.returncode == 0 and rest == ""
    assert f"ssh -L {port}:127.0.0.1:{port}" in told and "Research use only" in told and told.strip().endswith("closed")
    assert "GET" not in told and "tile" not in told
