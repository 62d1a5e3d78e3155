"""Bad input, as a person meets it: one clear line on standard error, exit status 2, nothing left behind."""

import json
import resource
import signal
import subprocess
import sys

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import tifffile

from ctloupe.cli.main import main
from ctloupe.volume.formats import write
from ctloupe.volume.volume import Volume
from warm_process import run_python


@pytest.fixture
def run(monkeypatch, capsys):
    """A function that runs the command line and returns status, standard output and standard error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["ctloupe", *map(str, arguments)])
        monkeypatch.delenv("CTLOUPE_DEBUG", raising=False)
        try:
            main()
            status = 0
        except SystemExit as stop:
            status = stop.code or 0
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


def nifti(path, values=None, affine=None):
    values = np.arange(4 * 6 * 8, dtype=np.int16).reshape(8, 6, 4) if values is None else values
    nibabel.save(nibabel.Nifti1Image(values, np.diag([0.6, 0.6, 0.6, 1.0]) if affine is None else affine), path)
    return path


def cut(path, share=0.6):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def missing_file(folder, series):
    return folder / "nothing.nii.gz", ["nothing.nii.gz", "no such file"]


def garbage(folder, series):
    path = folder / "garbage.nii"
    path.write_bytes(b"not a volume at all" * 40)
    return path, ["garbage.nii"]


def truncated_nifti(folder, series):
    return cut(nifti(folder / "cut.nii")), ["cut.nii", "bytes"]


def truncated_compressed_nifti(folder, series):
    return cut(nifti(folder / "cut.nii.gz")), ["cut.nii.gz"]


def header_that_promises_more(folder, series):
    path = nifti(folder / "promise.nii")
    data = bytearray(path.read_bytes())
    data[42:44] = (800).to_bytes(2, "little")
    path.write_bytes(bytes(data))
    return path, ["promise.nii", "bytes"]


def truncated_metaimage(folder, series):
    path = folder / "cut.mha"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 6, 8), np.int16)), str(path))
    return cut(path), ["cut.mha"]


def not_a_number(folder, series):
    values = np.zeros((8, 6, 4), np.float32)
    values[1, 2, 3] = np.nan
    return nifti(folder / "nan.nii", values), ["nan.nii", "NaN"]


def four_dimensional(folder, series):
    return nifti(folder / "time.nii", np.zeros((8, 6, 4, 3), np.int16)), ["time.nii", "4-D"]


def sheared(folder, series):
    affine = np.diag([0.6, 0.6, 0.6, 1.0])
    affine[0, 1] = 0.3
    return nifti(folder / "shear.nii", affine=affine), ["shear.nii"]


def tiff_without_voxel_size(folder, series):
    path = folder / "stack.tif"
    tifffile.imwrite(path, np.zeros((5, 6, 8), np.uint16), photometric="minisblack")
    return path, ["stack.tif", "--voxel-size"]


def colour_tiff(folder, series):
    path = folder / "colour.tif"
    tifffile.imwrite(path, np.zeros((16, 18, 3), np.uint8), photometric="rgb")
    return path, ["colour.tif"]


def edited(key, value):
    def edit(folder, series):
        def change(index, data):
            if index == 2:
                if value is None:
                    delattr(data, key)
                else:
                    setattr(data, key, value)

        written = series(folder / "scan", edit=change)
        return folder / "scan", [written.files[2].name]

    return edit


def missing_slice(folder, series):
    written = series(folder / "scan")
    written.files[2].unlink()
    return folder / "scan", ["slice", written.files[1].name, written.files[3].name]


def duplicate_slice(folder, series):
    written = series(folder / "scan")
    data = pydicom.dcmread(written.files[2])
    data.SOPInstanceUID = pydicom.uid.generate_uid()
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.save_as(folder / "scan" / "again.dcm")
    return folder / "scan", ["again.dcm", written.files[2].name]


def truncated_slice(folder, series):
    written = series(folder / "scan")
    cut(written.files[3], 0.8)
    return folder / "scan", [written.files[3].name]


def tilted_series(folder, series):
    def tilt(index, data):
        x, y, z = (float(value) for value in data.ImagePositionPatient)
        data.ImagePositionPatient = [x, y + 0.5 * index, z]

    series(folder / "scan", edit=tilt)
    return folder / "scan", ["tilt"]


def two_series(folder, series):
    series(folder / "scan", number=3, prefix="a")
    series(folder / "scan", number=4, prefix="b", shape=(4, 8, 10))
    return folder / "scan", ["--series", "6", "4"]


def empty_folder(folder, series):
    (folder / "empty").mkdir()
    return folder / "empty", ["empty"]


@pytest.mark.parametrize(
    "make",
    [
        missing_file,
        garbage,
        truncated_nifti,
        truncated_compressed_nifti,
        header_that_promises_more,
        truncated_metaimage,
        not_a_number,
        four_dimensional,
        sheared,
        tiff_without_voxel_size,
        colour_tiff,
        pytest.param(edited("PixelSpacing", None), id="missing_pixel_spacing"),
        pytest.param(edited("ImagePositionPatient", None), id="missing_position"),
        pytest.param(edited("ImageOrientationPatient", [0, 1, 0, 1, 0, 0]), id="mixed_orientation"),
        missing_slice,
        duplicate_slice,
        truncated_slice,
        tilted_series,
        two_series,
        empty_folder,
    ],
)
def test_bad_input_is_one_line_that_names_the_file_and_the_fault(make, run, tmp_path, dicom_series):
    path, words = make(tmp_path, dicom_series)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    for verb in (["inspect", path], ["enhance", path, "-o", tmp_path / "out.nii.gz", "--model", "bicubic"]):
        status, out, err = run(*verb)
        assert status == 2, err
        last = [line for line in err.splitlines() if line.startswith("ctloupe:")]
        assert len(last) == 1, err
        assert "Traceback" not in err
        assert out == ""
        for word in words:
            assert word.lower() in last[0].lower(), f"'{word}' is not in: {last[0]}"
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.fixture
def scan(tmp_path):
    """A clinical CT of the spacing and size that the tiny model was trained for."""
    values = np.random.default_rng(0).normal(-800, 80, (2, 20, 22)).astype(np.int16)
    return write(Volume(values, (0.6, 0.6, 0.6), modality="clinical", units="HU"), tmp_path / "scan.nii.gz")


def test_a_model_trained_at_another_spacing_names_both_and_the_choice(run, tmp_path, tiny_model):
    coarse = write(Volume(np.zeros((1, 20, 20), np.int16), (5.0, 0.9, 0.9)), tmp_path / "coarse.nii.gz")
    command = ["enhance", coarse, "-o", tmp_path / "out.nii.gz", "--model", tiny_model, "--mask", "none"]
    status, _, err = run(*command)
    assert status == 2
    for word in ("0.6×0.6", "0.9×0.9", "--resample", "--accept-spacing"):
        assert word in err
    assert not (tmp_path / "out.nii.gz").exists()
    assert run(*command, "--accept-spacing")[0] == 0
    assert run(*command, "--resample", "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--scale", "8"], ["scale 4, not 8"]),
        (["--slices", "1:9"], ["--slices", "0:2"]),
        (["--mask", "nothing.nii.gz"], ["nothing.nii.gz"]),
        (["--stitch", "blend"], ["--stitch", "calibrated"]),
        (["--accelerator", "cuda"], ["--accelerator cuda", "doctor"]),
        (["--resample", "--accept-spacing"], ["exclude"]),
    ],
)
def test_options_that_cannot_be_are_refused(run, scan, tmp_path, tiny_model, options, words):
    import torch

    if "cuda" in options and torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    command = ["enhance", scan, "-o", tmp_path / "out.nii.gz", "--model", tiny_model, *options]
    status, _, err = run(*command)
    assert status == 2
    for word in words:
        assert word in err
    assert not (tmp_path / "out.nii.gz").exists()


def test_an_output_that_is_there_already_or_of_no_known_format_is_refused_before_the_work(run, scan, tmp_path):
    kept = tmp_path / "kept.nii.gz"
    kept.write_bytes(b"mine")
    status, _, err = run("enhance", scan, "-o", kept, "--model", "bicubic")
    assert (status, kept.read_bytes()) == (2, b"mine")
    assert "--overwrite" in err
    status, _, err = run("enhance", scan, "-o", tmp_path / "out.xyz", "--model", "bicubic")
    assert status == 2
    assert ".nii.gz" in err


def test_a_damaged_or_missing_model_is_refused(run, scan, tmp_path, tiny_model):
    import shutil

    broken = shutil.copytree(tiny_model, tmp_path / "broken")
    cut(broken / "weights.safetensors")
    for model, word in ((broken, "weights.safetensors"), (tmp_path / "none", "names here: lung-demo")):
        status, _, err = run("enhance", scan, "-o", tmp_path / "out.nii.gz", "--model", model)
        assert status == 2
        assert word in err
    card = json.loads((tiny_model / "model.json").read_text())
    shutil.copy(tiny_model / "weights.safetensors", broken)
    (broken / "model.json").write_text(json.dumps(card | {"method": "sr-cyclegone"}))
    assert "sr-cyclegone" in run("enhance", scan, "-o", tmp_path / "o.nii.gz", "--model", broken)[2]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".nii.gz", ".ome.zarr", ".mha"])
def test_a_disk_that_fills_up_stops_with_one_line_and_leaves_nothing(scan, tmp_path, suffix):
    # A limit on file size meets the same code as a full disk, and any user may set one.
    code = (
        "import resource, signal, sys\n"
        # Python may keep what a full disk left of a compiled module, which nothing can import afterwards.
        "sys.dont_write_bytecode = True\n"
        "from ctloupe.cli.main import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "main()"
    )
    out = tmp_path / "outputs"
    out.mkdir()
    command = ["enhance", str(scan), "-o", str(out / f"fine{suffix}"), "--model", "bicubic", "--scale", "8"]
    (tmp_path / "limited.py").write_text(code)
    done = run_python(tmp_path / "limited.py", *command)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert f"fine{suffix}" in done.stderr
    assert list(out.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4096


@pytest.fixture
def full_disk(monkeypatch):
    """No file grows beyond 2000 bytes, which meets the same code as a full disk; compiled modules are not kept."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    handler, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize(
    ("out", "command"),
    [
        ("fine.dicom", ["enhance", "SCAN", "--model", "bicubic", "--scale", 8]),
        ("bank", ["prepare", "--clinical", "SCAN", "--micro", "SCAN", "--scale", 2, "--patch", 4, "--per-case", 99]),
        ("run", ["train", "--bank", "BANK", "--preset", "tiny", "--set", "scale=4", "--set", "patch_size=12"]),
    ],
)
def test_a_disk_that_fills_up_under_folders_is_one_line(run, scan, small_bank, tmp_path, full_disk, out, command):
    masks = ["--clinical-mask", "none", "--micro-mask", "none"] if out == "bank" else []
    command = [{"SCAN": scan, "BANK": small_bank}.get(one, one) for one in command]
    status, _, err = run(*command, *masks, "--out", tmp_path / "outputs" / out)
    assert status == 2
    assert err.splitlines()[-1].startswith(f"ctloupe: {tmp_path / 'outputs' / out}") and "cannot be written" in err
    assert not any("partial" in path.name for path in tmp_path.rglob("*"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--bank", "bank", "--out", "run", "--set", "batch_size=["], ["--set batch_size=[", "YAML"]),
        (["enhance", "SCAN", "--model", "bicubic", "-o", "out.mha", "--scale", "0"], ["'scale'", "found 0"]),
        (["enhance", "SCAN", "--model", "bicubic", "-o", "out.mha", "--seed", "-1"], ["--seed"]),
        (["enhance", "SCAN", "--model", "bicubic", "-o", "out.mha", "--memory", "1MB"], ["--memory", "give 1GB"]),
        (["enhance", "SCAN", "--model", "bicubic", "-o", f"{'a' * 260}.mha"], ["the name is too long"]),
        (["inspect", "a" * 260], ["the name is too long"]),
    ],
)
def test_values_that_cannot_be_are_refused(run, scan, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    status, _, err = run(*[scan if one == "SCAN" else one for one in arguments])
    assert status == 2
    for word in words:
        assert word in err
    assert sorted(tmp_path.rglob("*")) == before


def test_names_of_files_cannot_steer_the_terminal(run, scan, tmp_path):
    name = "two\nlines\x1b[31m.nii.gz"
    status, _, err = run("inspect", tmp_path / name)
    assert (status, err.count("\n"), "\x1b" in err) == (2, 1, False)
    (tmp_path / name).write_bytes(scan.read_bytes())
    status, out, _ = run("inspect", tmp_path / name)
    assert status == 0 and "\x1b" not in out
    assert out.splitlines()[0] == f"{tmp_path}/two\\nlines\\x1b[31m.nii.gz: nifti"


def test_debug_shows_the_traceback(tmp_path):
    command = [sys.executable, "-m", "ctloupe.cli.main", "--debug", "inspect", str(tmp_path / "nothing.nii")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "Traceback" in done.stderr


def test_an_unknown_option_is_a_usage_error(run):
    status, _, err = run("inspect", "--nonsense", "x")
    assert status == 2
    assert "--nonsense" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["enhance", "a.nii.gz", "-o", "b.nii.gz", "--model", "m", "--seed", "-1"], ["--seed", "ctloupe enhance -h"]),
        (["enhance", "--nonsense"], ["--nonsense", "ctloupe enhance -h"]),
        (["enhance"], ["INPUT", "ctloupe enhance -h"]),
        (["train", "--minutes", "soon"], ["--minutes", "ctloupe train -h"]),
        (["nonsense"], ["nonsense", "ctloupe -h"]),
    ],
)
def test_a_command_line_that_cannot_be_read_is_refused_in_one_line(run, arguments, words):
    status, printed, told = run(*arguments)
    assert (status, printed) == (2, "")
    assert told.startswith("ctloupe: ") and told.count("\n") == 1
    assert all(word in told for word in words)


def test_without_arguments_the_help_is_shown(run):
    status, _, told = run()
    assert status == 2 and "Usage: ctloupe" in told and "enhance" in told
