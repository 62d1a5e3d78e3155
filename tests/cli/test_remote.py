"""The verbs that take volumes from a server, on the command line and against a real S3 server."""

import json
import sys

import numpy as np
import pytest

from ctloupe.cli.main import main
from ctloupe.foundation.location import location
from ctloupe.prepare.patches import PatchBank
from ctloupe.volume.formats import read, write
from ctloupe.volume.volume import Volume
from remote_servers import can_serve_s3, s3_server, upload

pytestmark = pytest.mark.skipif(not can_serve_s3(), reason="the extras 'remote' and 'dev' are not installed")

SCAN, MICRO, OUT = (f"s3://bucket/a study/{name}.ome.zarr" for name in ("scan", "micro", "fine"))


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """The same volumes on this disk and in the bucket of a server."""
    folder = tmp_path_factory.mktemp("volumes")
    random = np.random.default_rng(0)
    values = random.normal(-700, 150, (4, 40, 48)).round().astype(np.int16)
    scan = Volume(values, (2.0, 0.8, 0.8), modality="clinical", units="HU")
    fine = random.normal(7000, 2000, (8, 160, 160)).round().astype(np.int16)
    micro = Volume(fine, (0.2, 0.2, 0.2), modality="micro", units="raw")
    mask = Volume(np.ones(values.shape, np.uint8), (2.0, 0.8, 0.8))
    with s3_server(tmp_path_factory.mktemp("s3")):
        for name, volume in (("scan", scan), ("micro", micro), ("mask", mask)):
            write(volume, folder / f"{name}.ome.zarr")
            upload(folder / f"{name}.ome.zarr", location(f"s3://bucket/a study/{name}.ome.zarr"))
        yield folder


def test_every_verb_makes_of_a_store_on_a_server_what_it_makes_of_one_on_a_disk(volumes, tmp_path, ctloupe):
    assert json.loads(ctloupe("inspect", SCAN, "--json")) == json.loads(
        ctloupe("inspect", volumes / "scan.ome.zarr", "--json")
    )
    how = "--model", "bicubic", "--scale", 4
    ctloupe("enhance", SCAN, "-o", OUT, *how, "--mask", "s3://bucket/a study/mask.ome.zarr")
    local = tmp_path / "fine.ome.zarr"
    ctloupe("enhance", volumes / "scan.ome.zarr", "-o", local, *how, "--mask", volumes / "mask.ome.zarr")
    assert np.array_equal(read(OUT).array(), read(local).array())
    picture = location(OUT).with_name("fine-preview.png").read_bytes()
    assert picture == (tmp_path / "fine-preview.png").read_bytes()
    rows = json.loads(ctloupe("evaluate", "--input", SCAN, "--output", f"same={OUT}", "--json"))["rows"]
    assert rows["same"] == rows["bicubic"]
    ctloupe("view", SCAN, OUT, "--shot", tmp_path / "there.png", "--roi", "1:2,4:20,4:20")
    ctloupe("view", volumes / "scan.ome.zarr", local, "--shot", tmp_path / "here.png", "--roi", "1:2,4:20,4:20")
    assert (tmp_path / "there.png").read_bytes() == (tmp_path / "here.png").read_bytes()
    small = ("--scale", 4, "--patch", 8, "--per-case", 6, "--clinical-mask", "none", "--micro-mask", "none")
    ctloupe("prepare", "--clinical", SCAN, "--micro", MICRO, "--out", tmp_path / "bank", *small)
    named = "--clinical", volumes / "scan.ome.zarr", "--micro", volumes / "micro.ome.zarr"
    ctloupe("prepare", *named, "--out", tmp_path / "same", *small)
    for modality in ("clinical", "micro"):
        banks = [PatchBank.load(tmp_path / name / f"{modality}.bank") for name in ("bank", "same")]
        assert np.array_equal(banks[0].patches, banks[1].patches)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["enhance", SCAN, "-o", "https://127.0.0.1/fine.ome.zarr"], "web servers are only read"),
        (["enhance", SCAN, "-o", "s3://bucket/fine.nii.gz"], "only OME-Zarr is written to a server"),
        (["enhance", SCAN, "-o", SCAN, "--overwrite"], "an input is never replaced"),
        (["enhance", SCAN, "-o", f"{SCAN}?X-Amz-Signature=hidden"], "s3://…: an address with"),
        (["enhance", "s3://me:hidden@bucket/a.ome.zarr", "-o", OUT], "s3://…: an address with"),
        (["enhance", "s3://bucket/a study", "-o", OUT], "nothing readable is there"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(volumes, monkeypatch, capsys, tmp_path, arguments, told):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ctloupe", *arguments, "--model", "bicubic", "--scale", "4"])
    with pytest.raises(SystemExit) as stopped:
        main()
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and told in said and said.count("\n") == 1 and "hidden" not in said
    assert not list(tmp_path.iterdir())


def test_results_that_stay_local_are_refused_an_address(volumes, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        sys, "argv", ["ctloupe", "prepare", "--clinical", SCAN, "--micro", MICRO, "--out", "s3://bucket/bank"]
    )
    with pytest.raises(SystemExit):
        main()
    assert "an address on a server where a local path is expected" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
