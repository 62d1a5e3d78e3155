"""`ctloupe evaluate`: pages, records, leaderboards, and what is refused."""

import json

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from ctloupe.cli.main import main
from ctloupe.enhance.resolver import load_model
from ctloupe.evaluate.report.pdf import browser
from ctloupe.evaluate.request import EvaluateRequest, evaluate_files
from ctloupe.foundation.errors import FileError
from ctloupe.volume.formats import read, write
from ctloupe.volume.volume import Volume


@pytest.fixture
def case(tmp_path):
    """A scan, its bicubic enlargement, a truth that differs by 50 HU of noise, and the σ of that noise."""
    random = np.random.default_rng(0)
    coarse = random.normal(-800, 100, (2, 24, 24)).round().astype(np.int16)
    scan = Volume(coarse, (2.0, 0.6, 0.6), modality="clinical", units="HU")
    fine = load_model("bicubic", 2).enhance(scan)
    truth = fine.with_data((fine.data + random.normal(0, 50, fine.shape)).round().astype(np.int16))
    sigma = fine.with_data(np.full(fine.shape, 50, np.float32))
    for name, volume in (("scan", scan), ("fine", fine), ("truth", truth), ("sigma", sigma)):
        write(volume, tmp_path / f"{name}.nii.gz")
    return tmp_path


@pytest.mark.slow
def test_an_uncertainty_is_judged_by_the_truth(case, ctloupe):
    said = ctloupe(
        *("evaluate", "--input", case / "scan.nii.gz", "--output", case / "fine.nii.gz"),
        *("--truth", case / "truth.nii.gz", "--uncertainty", case / "sigma.nii.gz", "--json"),
    )
    worth = json.loads(said)["facts"]["uncertainty"]
    assert worth["factor"] == pytest.approx(1, rel=0.05) and worth["coverage 80%"] == pytest.approx(0.8, abs=0.03)


def refused(arguments, monkeypatch, capsys):
    """The one line that a command is refused with."""
    monkeypatch.setattr("sys.argv", ["ctloupe", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    return capsys.readouterr().err


def judged(case, ctloupe, *more):
    """The record of a case as it is printed."""
    return ctloupe(
        *("evaluate", "--input", case / "scan.nii.gz", "--output", case / "fine.nii.gz"),
        *("--truth", case / "truth.nii.gz", "--json", *more),
    )


@pytest.mark.slow
def test_factors_of_one_case_correct_the_uncertainty_of_another(case, ctloupe):
    half = case / "half.nii.gz"
    write(read(case / "sigma.nii.gz").with_data(np.full((2, 48, 48), 25, np.float32)), half)
    (case / "first.json").write_text(judged(case, ctloupe, "--uncertainty", half))
    wrong = json.loads((case / "first.json").read_text())["facts"]["uncertainty"]
    assert wrong["factor"] == pytest.approx(2, rel=0.05)
    given = ("--uncertainty", half, "--recalibration", case / "first.json", "--out", case / "again")
    found = json.loads(judged(case, ctloupe, *given))["facts"]
    assert found["uncertainty"]["factor"] == pytest.approx(wrong["factor"])
    assert found["uncertainty recalibrated"]["factor"] == pytest.approx(1, rel=0.05)
    page = (case / "again" / "report.html").read_text()
    assert "Uncertainty" in page and "recalibrated" in page
    record = json.loads((case / "first.json").read_text())
    for damage, field in (({"1": "wide"}, r"factors\.1"), ({"1": -2}, r"factors\.1"), ([1], "factors")):
        record["facts"]["uncertainty"] = {"factors": damage}
        (case / "damaged.json").write_text(json.dumps(record))
        request = EvaluateRequest(
            input=case / "scan.nii.gz",
            output=(("fine", case / "fine.nii.gz"),),
            truth=case / "truth.nii.gz",
            uncertainty=half,
            recalibration=case / "damaged.json",
        )
        with pytest.raises(FileError, match=rf"damaged\.json: facts\.uncertainty: key '{field}"):
            evaluate_files(request)


@pytest.mark.slow
def test_several_outputs_stand_in_one_table_under_their_names(case, ctloupe):
    said = ctloupe(
        *("evaluate", "--input", case / "scan.nii.gz", "--truth", case / "truth.nii.gz"),
        *("--output", f"one={case / 'fine.nii.gz'}", "--output", case / "truth.nii.gz", "--json"),
    )
    found = json.loads(said)
    assert list(found["rows"]) == ["bicubic", "one", "truth"]
    assert found["rows"]["truth"]["PSNR (dB)"] == "inf" and found["protocol"] == "paired-phantom, version 1"


def test_two_reconstructions_of_one_acquisition_are_compared_and_each_needs_its_own_output(
    case, ctloupe, monkeypatch, capsys
):
    scan = read(case / "scan.nii.gz")
    smooth = gaussian_filter(np.asarray(scan.data, float), (0, 0.7, 0.7)).round().astype(np.int16)
    write(scan.with_data(smooth), case / "smooth.nii.gz")
    write(load_model("bicubic", 2).enhance(scan.with_data(smooth)), case / "smooth-fine.nii.gz")
    asked = (
        "evaluate",
        "--protocol",
        "kernel-pair",
        "--input",
        case / "scan.nii.gz",
        "--other-input",
        case / "smooth.nii.gz",
    )
    asked += ("--output", f"cubic={case / 'fine.nii.gz'}", "--json")
    found = json.loads(ctloupe(*asked, "--other-output", f"cubic={case / 'smooth-fine.nii.gz'}"))
    assert found["protocol"].startswith("kernel-pair") and list(found["rows"]) == ["bicubic", "cubic"]
    assert found["rows"]["cubic"] == pytest.approx(found["rows"]["bicubic"], nan_ok=True)
    assert "needs `" not in (said := refused(asked, monkeypatch, capsys)) and "--other-output" in said


@pytest.mark.slow
def test_a_real_scan_gets_the_page_without_truth(case, ctloupe, tiny_model):
    coarse = np.random.default_rng(1).normal(-300, 100, (2, 24, 24)).round().astype(np.int16)
    write(Volume(coarse, (2.0, 0.6, 0.6), units="HU"), case / "bright.nii.gz")
    ctloupe("enhance", case / "bright.nii.gz", "-o", case / "sr.nii.gz", "--model", tiny_model, "--mask", "none")
    micro = Volume(np.random.default_rng(2).integers(0, 15000, (3, 96, 96)).astype(np.int16), (0.15,) * 3)
    write(micro, case / "micro.nii.gz")
    said = ctloupe(
        *("evaluate", "--input", case / "bright.nii.gz", "--output", case / "sr.nii.gz", "--model", tiny_model),
        *("--micro", case / "micro.nii.gz", "--out", case / "page"),
        *(["--pdf"] if browser() else []),
    )
    assert "no-truth, version 2" in said and "sliced Wasserstein" in said
    assert "warning: the scan is unlike the training data" in said
    page = (case / "page" / "report.html").read_text(encoding="utf-8")
    assert (
        "unlike the training data" in page
        and "says something else than the scanner measured" in page
        and "Research use only" in page
    )
    if browser():
        assert (case / "page" / "report.pdf").read_bytes().startswith(b"%PDF")


def test_a_pdf_is_refused_before_anything_is_measured_where_no_browser_can_print_it(case, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(case))
    asked = ["evaluate", "--input", case / "scan.nii.gz", "--output", case / "fine.nii.gz", "--out", case / "refused"]
    said = refused([*asked, "--pdf"], monkeypatch, capsys)
    assert said.startswith("ctloupe: --pdf needs Chromium or Chrome") and said.count("\n") == 1
    assert not (case / "refused").exists()


@pytest.mark.slow
def test_results_are_gathered_into_a_leaderboard_unless_their_protocols_differ(case, ctloupe, monkeypatch, capsys):
    one, other = case / "one.json", case / "other.json"
    one.write_text(judged(case, ctloupe))
    other.write_text(ctloupe("evaluate", "--input", case / "scan.nii.gz", "--output", case / "fine.nii.gz", "--json"))
    said = ctloupe("compare", one, one, "--out", case / "board")
    assert "PSNR (dB)" in said and (case / "board" / "leaderboard.csv").is_file()
    said = refused(["compare", one, other], monkeypatch, capsys)
    assert "must not be compared" in said and "no-truth" in said and "paired-phantom" in said
    assert "exists already; give --overwrite" in refused(["compare", one, "--out", case / "board"], monkeypatch, capsys)


def test_the_hu_moment_protocol_compares_with_micro_ct(case, ctloupe):
    micro = Volume(np.random.default_rng(2).integers(0, 15000, (3, 48, 48)).astype(np.int16), (0.3,) * 3)
    write(micro, case / "micro.nii.gz")
    said = ctloupe(
        *("evaluate", "--protocol", "isbi", "--input", case / "scan.nii.gz", "--output", case / "fine.nii.gz"),
        *("--micro", case / "micro.nii.gz"),
    )
    assert "isbi, version 1" in said and "m-HuM" in said


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--uncertainty", "sigma.nii.gz"], "--uncertainty needs --truth"),
        (["--labels", "truth.nii.gz"], "--labels needs --truth"),
        (["--recalibration", "metrics.json"], "--recalibration needs --uncertainty"),
        (["--output", "bicubic=fine.nii.gz"], "always there"),
        (["--output", "fine.nii.gz", "--output", "fine.nii.gz"], "one name"),
        (["--protocol", "guess"], "expected one of"),
        (["--protocol", "isbi"], "needs --micro"),
        (["--pdf"], "--pdf needs --out"),
        (["--resample"], "--resample needs the --model"),
        (["--mask", "truth.nii.gz"], "--mask"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(case, arguments, match, monkeypatch, capsys):
    monkeypatch.chdir(case)
    plain = ["--input", "scan.nii.gz", *([] if "--output" in arguments else ["--output", "fine.nii.gz"])]
    said = refused(["evaluate", *plain, *arguments], monkeypatch, capsys)
    assert match in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["suite", "lung-v9", "--out", "out"], "lung-v1"),
        (["suite", "smoke-v1", "--out", "out", "--study", "nowhere"], "--study nowhere"),
        (["compare", "nowhere.json", "--out", "out"], "metrics.json"),
    ],
)
def test_benchmarks_and_records_that_are_not_there_are_refused_in_one_line(case, arguments, match, monkeypatch, capsys):
    monkeypatch.chdir(case)
    said = refused(arguments, monkeypatch, capsys)
    assert match in said and said.count("\n") == 1
    assert not (case / "out").exists()


@pytest.mark.slow
def test_python_and_the_command_line_do_the_same(case, ctloupe, tiny_model):
    from ctloupe.evaluate.request import EvaluateRequest, evaluate_files

    write(read(case / "scan.nii.gz").with_data(np.tri(24, dtype=np.int16)[None].repeat(2, 0)), case / "mask.nii.gz")
    options = {name: case / f"{name}.nii.gz" for name in ("truth", "mask")} | {"uncertainty": case / "sigma.nii.gz"}
    flags = [text for name, path in options.items() for text in (f"--{name}", path)]
    ctloupe(
        *("evaluate", "--input", case / "scan.nii.gz", "--output", f"mine={case / 'fine.nii.gz'}", *flags),
        *("--model", f"tiny={tiny_model}", "--slices", "0:2", "--out", case / "out"),
    )
    request = EvaluateRequest(
        input=case / "scan.nii.gz",
        output=(("mine", case / "fine.nii.gz"),),
        model=(("tiny", tiny_model),),
        slices="0:2",
        out=case / "again",
        **options,
    )
    found, _ = evaluate_files(request)
    for name in ("metrics.json", "report.html"):
        assert (case / "again" / name).read_bytes() == (case / "out" / name).read_bytes()
    assert list(found.rows) == ["bicubic", "mine"] and found.facts["warnings"]


def test_a_mask_elsewhere_in_space_is_refused_although_its_shape_fits(case, monkeypatch, capsys):
    elsewhere = Volume(np.ones((2, 24, 24), np.uint8), (9.0, 9.0, 9.0), origin=(500.0, 0.0, 0.0))
    write(elsewhere, case / "mask.nii.gz")
    said = refused(
        ["evaluate", "--input", case / "scan.nii.gz", "--output", case / "fine.nii.gz", "--mask", case / "mask.nii.gz"],
        monkeypatch,
        capsys,
    )
    assert "--mask" in said and "mask.nii.gz: is not on the grid of the scan" in said
    assert "9×9×9 mm" in said and "the first voxel 500 mm away" in said


def test_the_part_that_was_enhanced_is_read_off_the_output(case, ctloupe):
    """Without `--slices` the input is cropped to where the output lies."""
    scan = read(case / "scan.nii.gz")
    write(
        load_model("bicubic", 2).enhance(scan, region=(slice(1, 2), slice(4, 20), slice(0, 24))), case / "part.nii.gz"
    )
    arguments = ("evaluate", "--input", case / "scan.nii.gz", "--output", case / "part.nii.gz", "--json")
    found = json.loads(ctloupe(*arguments))
    assert found == json.loads(ctloupe(*arguments, "--roi", "1:2,4:20,0:24"))
    assert found["facts"]["slices"] == 1


def test_a_voxel_size_is_that_of_the_input(case, ctloupe, monkeypatch, capsys):
    tifffile.imwrite(case / "scan.tif", read(case / "scan.nii.gz").array())
    arguments = ("evaluate", "--input", case / "scan.tif", "--output", case / "fine.nii.gz")
    assert "`" not in (told := refused(arguments, monkeypatch, capsys)) and "--voxel-size Z,Y,X" in told
    assert "bicubic" in ctloupe(*arguments, "--voxel-size", "2,0.6,0.6")


def test_an_output_that_does_not_state_its_voxel_size_cannot_be_given_one(case, monkeypatch, capsys):
    tifffile.imwrite(case / "fine.tif", read(case / "fine.nii.gz").array())
    told = refused(("evaluate", "--input", case / "scan.nii.gz", "--output", case / "fine.tif"), monkeypatch, capsys)
    assert "does not state the voxel size" in told and "write it with its voxel size in it" in told
    assert "--voxel-size" not in told
