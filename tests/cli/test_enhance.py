"""`ctloupe enhance` over folders, formats and interruptions, as a user types it."""

import numpy as np
import pytest
import typer.main

from ctloupe.cli.main import app, main
from ctloupe.enhance.request import EnhanceRequest, enhance_files
from ctloupe.volume.formats import read, write
from ctloupe.volume.volume import Volume
from dicom_series import write_dicom_series


def scan(seed=0, slices=3):
    values = np.random.default_rng(seed).normal(-800, 100, (slices, 20, 24)).round().astype(np.int16)
    return Volume(values, (2.0, 0.6, 0.6), modality="clinical", units="HU")


@pytest.fixture
def cohort(tmp_path):
    for number in (1, 2):
        write(scan(number), tmp_path / "scans" / f"case-{number}.nii.gz")
    return tmp_path / "scans"


def test_a_folder_of_scans_becomes_a_folder_of_stores(cohort, tmp_path, ctloupe):
    said = ctloupe("enhance", cohort, "-o", tmp_path / "fine", "--model", "bicubic", "--scale", 2, "--mask", "none")
    assert [line.split(":")[0] for line in said.splitlines()] == ["1/2 case-1.nii.gz", "2/2 case-2.nii.gz"]
    for number in (1, 2):
        assert read(tmp_path / "fine" / f"case-{number}.ome.zarr").shape == (3, 40, 48)


def test_a_bad_scan_does_not_stop_the_others_and_is_named_at_the_end(cohort, tmp_path, monkeypatch, capsys):
    whole = (cohort / "case-1.nii.gz").read_bytes()
    (cohort / "case-1.nii.gz").write_bytes(whole[: len(whole) // 2])
    arguments = ["enhance", cohort, "-o", tmp_path / "fine", "--model", "bicubic", "--scale", "2", "--mask", "none"]
    monkeypatch.setattr("sys.argv", ["ctloupe", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    out, err = capsys.readouterr()
    assert stop.value.code == 2
    assert out.splitlines()[0] == "1/2 case-1.nii.gz: failed" and "case-2.ome.zarr" in out.splitlines()[1]
    assert "failed: " in err and "case-1.nii.gz" in err and "1 of 2 volumes failed" in err
    (cohort / "case-1.nii.gz").write_bytes(whole)
    monkeypatch.setattr("sys.argv", ["ctloupe", *map(str, arguments), "--resume"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    assert "case-2.ome.zarr is finished already" in capsys.readouterr().err


def test_a_dicom_series_becomes_a_dicom_series(tmp_path, ctloupe):
    source = write_dicom_series(tmp_path / "series", shape=(4, 16, 20), spacing=(2.5, 0.6, 0.6))
    out = tmp_path / "fine.dicom"
    ctloupe("enhance", source.folder, "-o", out, "--model", "bicubic", "--scale", 4, "--mask", "none", "--consistent")
    found, before = read(out), read(source.folder)
    assert found.shape == (4, 64, 80)
    assert np.allclose(found.spacing, (2.5, 0.15, 0.15))
    assert np.allclose(found.physical((0, -0.5, -0.5)), before.physical((0, -0.5, -0.5)), atol=1e-4)
    means = found.array().reshape(4, 16, 4, 20, 4).mean((2, 4))
    assert np.abs(means - before.array()).max() < 1


def test_memory_tile_slab_and_precision_are_taken(tmp_path, ctloupe, tiny_model):
    write(scan(), tmp_path / "scan.nii.gz")
    arguments = ("enhance", tmp_path / "scan.nii.gz", "--model", tiny_model, "--accept-spacing", "--mask", "none")
    ctloupe(*arguments, "-o", tmp_path / "a.ome.zarr", "--tile", 8, "--slab", 1, "--precision", "float32")
    ctloupe(*arguments, "-o", tmp_path / "b.ome.zarr", "--memory", "1.5GB", "--precision", "float32")
    found, other = read(tmp_path / "a.ome.zarr").array().astype(int), read(tmp_path / "b.ome.zarr").array()
    assert np.abs(found - other).max() <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--memory", "lots"), "--memory lots: expected an amount"),
        (("--tile", "3"), "--tile 3: expected at least 8"),
        (("--slab", "0"), "--slab 0: expected at least one"),
        (("--precision", "half"), "expected auto, bf16 or float32"),
        (("--stitch", "slice", "--consistent"), "--consistent belongs to --stitch calibrated"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path, tiny_model, monkeypatch, capsys, options, message):
    write(scan(), tmp_path / "scan.nii.gz")
    arguments = [tmp_path / "scan.nii.gz", "-o", tmp_path / "a.ome.zarr", "--model", tiny_model, "--accept-spacing"]
    monkeypatch.setattr("sys.argv", ["ctloupe", "enhance", *map(str, arguments), "--mask", "none", *options])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a.ome.zarr").exists()


def files(store):
    return {path.relative_to(store): path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}


def test_it_has_a_field_for_everything_that_the_command_line_can_say():
    command = typer.main.get_command(app).commands["enhance"]
    names = {
        max(parameter.opts, key=len).lstrip("-").replace("-", "_")
        for parameter in command.params
        if parameter.name != "help"
    }
    assert {"scan" if name == "INPUT" else name for name in names} == set(EnhanceRequest.__dataclass_fields__)


def test_python_and_the_command_line_write_the_same_bytes(tmp_path, ctloupe, tiny_model):
    write(scan(), tmp_path / "scan.nii.gz")
    inside = np.zeros(scan().shape, np.uint8)
    inside[:, 4:16, 5:20] = 1
    write(scan().with_data(inside), tmp_path / "mask.nii.gz")
    said, finished = [], []
    request = EnhanceRequest(
        scan=tmp_path / "scan.nii.gz",
        out=tmp_path / "python.ome.zarr",
        model=tiny_model,
        mask=str(tmp_path / "mask.nii.gz"),
        accept_spacing=True,
        slices="1:3",
        consistent=True,
        tile=8,
        seed=5,
    )
    assert enhance_files(request, said.append, finished=finished.append) == [request.out]
    assert finished == [str(request.out)] and said[-1] == f"wrote {request.out}"
    arguments = ("--mask", tmp_path / "mask.nii.gz", "--accept-spacing", "--slices", "1:3", "--consistent")
    out = tmp_path / "typed.ome.zarr"
    told = ctloupe("enhance", request.scan, "-o", out, "--model", tiny_model, *arguments, "--tile", 8, "--seed", 5)
    assert told == f"{out}\n"
    assert files(request.out) == files(out)
