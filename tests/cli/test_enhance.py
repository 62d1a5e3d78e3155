"""`ctloupe enhance` over folders, formats and interruptions, as a user types it."""

import json
import shutil

import numpy as np
import pytest
import typer.main

from ctloupe.cli.main import app, main
from ctloupe.cli.progress import ConsoleProgress
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


def with_mask(model, folder, kind):
    """A copy of a model package, trained inside another kind of mask; None: as written before kinds were kept."""
    shutil.copytree(model, folder)
    card = json.loads((folder / "model.json").read_text())
    del card["mask"]
    (folder / "model.json").write_text(json.dumps(card if kind is None else card | {"mask": kind}))
    return folder


@pytest.mark.parametrize(("kind", "used"), [("box", "mask: box"), ("none", ""), (None, "no lung found")])
def test_a_model_is_used_inside_its_kind_of_mask(tmp_path, tiny_model, monkeypatch, capsys, kind, used):
    values = np.full((2, 24, 24), -1000, np.int16)
    values[:, 4:16, 6:20] = 300
    path = write(Volume(values, (2.0, 0.6, 0.6), units="HU"), tmp_path / "scan.nii.gz")
    model = with_mask(tiny_model, tmp_path / "model", kind)
    arguments = ["enhance", path, "-o", tmp_path / "fine.nii.gz", "--model", model]
    monkeypatch.setattr("sys.argv", ["ctloupe", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    told = capsys.readouterr().err
    assert used in told and ("lung" in told) == (kind is None)
    assert bool(stop.value.code) == (kind is None)


def test_a_model_trained_inside_mask_files_says_what_to_give(tmp_path, tiny_model, monkeypatch, capsys):
    model, path = with_mask(tiny_model, tmp_path / "model", "file"), write(scan(), tmp_path / "scan.nii.gz")
    arguments = ["enhance", path, "-o", tmp_path / "fine.nii.gz", "--model", model]
    monkeypatch.setattr("sys.argv", ["ctloupe", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert "--mask auto: this model was trained inside mask files; give --mask FILE" in capsys.readouterr().err


def test_the_blend_stays_inside_a_mask_file_and_is_the_same_after_an_interruption(
    tmp_path, tiny_model, ctloupe, monkeypatch, capsys
):
    path = write(scan(slices=3), tmp_path / "scan.nii.gz")
    inside = np.zeros((3, 20, 24), np.uint8)
    inside[:, 3:15, 5:20] = 1
    mask = write(scan().with_data(inside), tmp_path / "mask.nii.gz")
    common = ["enhance", path, "--model", tiny_model, "--mask", mask, "--slab", 1]
    for blend in (0, 2.0):
        ctloupe(*common, "-o", tmp_path / f"{blend}.ome.zarr", "--blend", blend)
    ctloupe("enhance", path, "-o", tmp_path / "plain.ome.zarr", "--model", "bicubic", "--scale", 4)
    hard, soft, plain = (read(tmp_path / f"{name}.ome.zarr").array().astype(int) for name in ("0", "2.0", "plain"))
    outside = inside.repeat(4, 1).repeat(4, 2) == 0
    assert np.array_equal(soft[outside], plain[outside])
    deep = slice(None), slice(4 * 8, 4 * 10), slice(4 * 10, 4 * 14)
    assert np.array_equal(soft[deep], hard[deep]) and not np.array_equal(soft, hard)

    def stop(self, done, note=""):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ConsoleProgress, "update", stop)
        patched.setattr("sys.argv", ["ctloupe", *map(str, [*common, "-o", tmp_path / "again.ome.zarr"])])
        with pytest.raises(SystemExit):
            main()
    assert not (tmp_path / "again.ome.zarr").exists()
    with monkeypatch.context() as patched:
        other = [*common, "-o", tmp_path / "again.ome.zarr", "--resume", "--blend", 1]
        patched.setattr("sys.argv", ["ctloupe", *map(str, other)])
        with pytest.raises(SystemExit) as refused:
            main()
    assert refused.value.code
    ctloupe(*common, "-o", tmp_path / "again.ome.zarr", "--resume")
    assert np.array_equal(read(tmp_path / "again.ome.zarr").array(), soft)


@pytest.mark.parametrize("blend", ["-1", "nan", "inf"])
def test_a_blend_is_a_distance(tmp_path, tiny_model, monkeypatch, capsys, blend):
    path = write(scan(), tmp_path / "scan.nii.gz")
    arguments = ["enhance", path, "-o", tmp_path / "fine.nii.gz", "--model", tiny_model, "--blend", blend]
    monkeypatch.setattr("sys.argv", ["ctloupe", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2 and f"--blend {blend}: expected a distance in mm" in capsys.readouterr().err


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
    assert finished == [str(request.out)] and said[-2] == f"wrote {request.out}"
    arguments = ("--mask", tmp_path / "mask.nii.gz", "--accept-spacing", "--slices", "1:3", "--consistent")
    out = tmp_path / "typed.ome.zarr"
    told = ctloupe("enhance", request.scan, "-o", out, "--model", tiny_model, *arguments, "--tile", 8, "--seed", 5)
    assert told == f"{out}\n"
    assert files(request.out) == files(out)
