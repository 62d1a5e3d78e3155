"""An exported file says what `enhance` says, in the program that it is for, without this package."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from ctloupe.enhance.request import EnhanceRequest, enhance_files
from ctloupe.export.request import ExportRequest, export_model
from ctloupe.export.targets.registry import TARGETS
from ctloupe.foundation.errors import CtLoupeError, MissingExtraError, ModelError
from ctloupe.volume.formats import read, write
from ctloupe.volume.volume import Volume
from small_package import write_small_package

PAGE = Path(__file__).resolve().parents[2] / "docs" / "exporting.md"
MODELS = {
    "own-range": ("sr-cyclegan", {"scaling": "min-max"}),
    "unet": ("unet", {}),
    "flow": ("physics-flow", {}),
    "flow-of-three": ("physics-flow", {"neighbours": True}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with an oblique scan, and `enhance`'s own volume and statistics of it as they are asked for."""
    folder = tmp_path_factory.mktemp("exported")
    blobs = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(3, 37, 45)), (0, 1, 1)) * 600 - 600
    turn = np.array([[0.98, -0.199, 0], [0.199, 0.98, 0], [0, 0, 1]])
    turn, _ = np.linalg.qr(turn)
    scan = Volume(blobs.clip(-1000, 150).astype(np.int16), (1.25, 0.6, 0.6), (1, 2, 3), turn, modality="clinical")
    write(scan, folder / "scan.nii.gz")
    return folder


@pytest.fixture(scope="module")
def package(folder):
    """A function that gives the package of a model."""

    def of(name):
        path = folder / name
        method, changes = MODELS[name]
        return path if path.exists() else write_small_package(path, method, **changes)

    return of


@pytest.fixture(scope="module")
def enhanced(folder, package):
    """A function that gives what `enhance` makes of the scan."""

    def by(name):
        out = folder / f"{name}.nii.gz"
        if not out.exists():
            enhance_files(
                EnhanceRequest(folder / "scan.nii.gz", out, package(name), precision="float32", preview=False)
            )
        return read(out)

    return by


def exported(folder, package, name, to, out, **options):
    said = []
    export_model(ExportRequest(package(name), to, folder / out, **options), said.append)
    return folder / out, said


def statistics_of(folder, package, name, suffix=".npz"):
    path = folder / f"{name}-scan{suffix}"
    if not path.exists():
        exported(folder, package, name, "statistics", path.name, scan=folder / "scan.nii.gz")
    return path


def run_without_the_package(code, *arguments):
    """Run Python code in a process in which this package cannot be imported."""
    code = f"import sys\nsys.modules['ctloupe'] = None\n{code}"
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def assert_equal(found, expected):
    """The same voxels to 1 HU at the same place."""
    assert np.abs(found.array().astype(float) - expected.array()).max() <= 1
    assert np.allclose(found.spacing, expected.spacing, atol=1e-5)
    assert np.allclose(found.origin, expected.origin, atol=1e-4)
    assert np.allclose(found.direction, expected.direction, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "calibrated"),
    [("own-range", False), ("unet", True), ("flow-of-three", False)],
)
def test_the_program_of_the_page_gives_what_enhance_gives(folder, package, enhanced, name, calibrated):
    pytest.importorskip("onnxruntime")
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    options = {"scan": folder / "scan.nii.gz"} if calibrated else {}
    model, said = exported(folder, package, name, "onnx", f"{name}-{calibrated}.onnx", **options)
    told = [] if calibrated else [statistics_of(folder, package, name)]
    out = folder / f"{name}-program.nii.gz"
    run_without_the_package(program.replace("TILE = 128", "TILE = 16"), model, folder / "scan.nii.gz", out, *told)
    assert_equal(read(out), enhanced(name))
    words = "Calibrated to one scan" if calibrated else "For every scan: what the network is told of a scan are inputs"
    assert any(line.startswith(words) for line in said)
    assert any("at most 0.5" in line and "HU from the engine" in line for line in said)


def test_torchscript_runs_where_this_package_is_not(folder, package, enhanced):
    model, _ = exported(folder, package, "flow", "torchscript", "flow.ts", scan=folder / "scan.nii.gz")
    np.save(folder / "hu.npy", read(folder / "scan.nii.gz").array().astype(np.float32)[:, None])
    code = (
        "import json, numpy, torch\nextra = {'ctloupe.json': ''}\n"
        "network = torch.jit.load(sys.argv[1], _extra_files=extra)\n"
        "assert json.loads(extra['ctloupe.json'])['calibrated'] == 'to one scan'\n"
        "numpy.save(sys.argv[3], network(torch.from_numpy(numpy.load(sys.argv[2]))).detach().numpy())"
    )
    run_without_the_package(code, model, folder / "hu.npy", folder / "made.npy")
    assert np.abs(np.load(folder / "made.npy")[:, 0] - enhanced("flow").array()).max() <= 1


def test_a_bundle_enhances_a_file_in_monai(folder, package, enhanced):
    bundle, _ = exported(folder, package, "flow-of-three", "monai-bundle", "bundle")
    described = json.loads((bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))
    assert described["network_data_format"]["inputs"]["image"]["num_channels"] == 3
    assert "--statistics_file" in (bundle / "docs" / "README.md").read_text(encoding="utf-8")
    pytest.importorskip("monai")
    from monai.bundle import ConfigParser

    parser, out = ConfigParser(), folder / "monai.nii.gz"
    parser.read_config(str(bundle / "configs" / "inference.json"))
    parser.read_meta(str(bundle / "configs" / "metadata.json"))
    told = str(statistics_of(folder, package, "flow-of-three"))
    parser.update({"bundle_root": str(bundle), "scan": str(folder / "scan.nii.gz"), "out": str(out)})
    parser.update({"statistics_file": told})
    with torch.no_grad():
        parser.get_parsed_content("run")
    assert_equal(read(out), enhanced("flow-of-three"))


@pytest.mark.slow
def test_openvino_gives_the_same_numbers(folder, package, enhanced):
    openvino = pytest.importorskip("openvino")
    model, _ = exported(folder, package, "own-range", "openvino", "model.xml")
    assert model.with_suffix(".bin").is_file()
    told = json.loads(statistics_of(folder, package, "own-range", ".json").read_text(encoding="utf-8"))
    compiled = openvino.Core().compile_model(str(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    hu = read(folder / "scan.nii.gz").array().astype(np.float32)[:, None]
    made = compiled({"hu": hu} | {name: np.array(told[name], np.float32) for name in ("window", "statistics")})[0]
    assert np.abs(made[:, 0] - enhanced("own-range").array()).max() <= 1
    record = json.loads(openvino.Core().read_model(str(model)).get_rt_info(["ctloupe"]).astype(str))
    assert record["scale"] == 4
    assert record["model"] == told["model"]


def test_a_file_says_what_it_is_and_nothing_of_where_its_scan_lay(folder, package):
    onnx = pytest.importorskip("onnx")
    model, _ = exported(folder, package, "flow", "onnx", "said.onnx", scan=folder / "scan.nii.gz")
    held = {one.key: one.value for one in onnx.load(str(model)).metadata_props}
    record = json.loads(held["ctloupe"])
    assert record["calibrated"] == "to one scan"
    assert [one["name"] for one in record["inputs"]] == ["hu"]
    assert record["window"] == [-1000, 200]
    assert record["units"] == "HU"
    assert "Not for diagnosis" in held["notice"]
    assert not record["neighbours"]
    assert bytes(str(folder), "utf-8") not in model.read_bytes()


def test_statistics_are_the_same_in_both_kinds_of_files(folder, package):
    arrays = np.load(statistics_of(folder, package, "own-range"))
    told = json.loads(statistics_of(folder, package, "own-range", ".json").read_text(encoding="utf-8"))
    assert set(arrays.files) == set(told) == {"model", "notice", "window", "statistics"}
    scan = read(folder / "scan.nii.gz").array()
    assert told["window"] == [scan.min(), scan.max()]
    for name in ("window", "statistics"):
        assert np.allclose(arrays[name], told[name])


def test_what_is_off_is_not_kept(folder, package, monkeypatch):
    good = TARGETS["torchscript"]

    def load(path, record):
        run = good.load(path, record)
        return lambda arrays: run(arrays) + 2

    monkeypatch.setitem(TARGETS, "torchscript", replace(good, load=load))
    with pytest.raises(ModelError, match=r"differs from the engine by up to 2\.\d* HU, more than 1"):
        exported(folder, package, "unet", "torchscript", "off.ts")
    assert not [one for one in folder.iterdir() if "off" in one.name]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"to": "tensorrt"}, "`to` tensorrt: expected onnx, torchscript, monai-bundle, openvino or statistics"),
        ({"out": "a.pth"}, "`to` torchscript writes .ts or .pt"),
        ({"to": "statistics", "out": "a.npz"}, "`to` statistics are those of a scan; give `scan`"),
        ({"model": "bicubic"}, "an interpolation, of which every program has its own"),
        ({"out": "unet/model.ts"}, "lies inside the input"),
        ({"scan": "nowhere.nii.gz"}, "nowhere.nii.gz"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(folder, package, options, words):
    asked = {"model": package("unet"), "to": "torchscript", "out": "a.ts"} | options
    asked |= {name: folder / asked[name] for name in ("out", "scan") if name in asked}
    with pytest.raises(CtLoupeError, match=re.escape(words)):
        export_model(ExportRequest(**asked))


def test_a_missing_package_is_named_with_its_extra(folder, package, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"needs the package onnxruntime: pip install 'ctloupe\[export\]'"):
        exported(folder, package, "unet", "onnx", "never.onnx")


def test_nothing_is_replaced_unasked(folder, package):
    (folder / "there.ts").write_text("mine")
    with pytest.raises(CtLoupeError, match="exists already"):
        exported(folder, package, "unet", "torchscript", "there.ts")
    assert (folder / "there.ts").read_text() == "mine"
