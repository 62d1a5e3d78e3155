"""The demo: unpaired phantoms, a short training, a held-out phantom enhanced and compared with its truth."""

from __future__ import annotations

import csv
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ctloupe import methods
from ctloupe.demo.stages import Stages
from ctloupe.enhance.request import EnhanceRequest, enhance_files
from ctloupe.evaluate.alignment import interpolated
from ctloupe.evaluate.comparison import Comparison
from ctloupe.evaluate.protocols.paired_phantom import compare_with_truth
from ctloupe.evaluate.report.page import (
    Shown,
    add_curves,
    add_details,
    add_overview,
    add_result,
    add_sizes,
    add_tissues,
    view_of,
)
from ctloupe.evaluate.report.pictures import loss_curves
from ctloupe.evaluate.report.report import Report
from ctloupe.evaluate.report.words import tissues_in_words
from ctloupe.evaluate.tissues import TissueError, tissue_errors
from ctloupe.foundation.errors import FileError
from ctloupe.foundation.progress import Progress
from ctloupe.foundation.records import finite, save_record
from ctloupe.phantom.anatomies.registry import DEFAULT, get, tissue_names
from ctloupe.phantom.clinical_slices import labels_on_clinical_slices, truth_on_clinical_slices
from ctloupe.phantom.phantom import make_phantom
from ctloupe.prepare.banks import BankRequest, WindowRequest, prepare_banks
from ctloupe.train.loop import train
from ctloupe.train.settings import TrainSettings
from ctloupe.volume.formats import read, write

SCALE = 8
CLINICAL_WINDOW = WindowRequest(-1000.0, 400.0)
MICRO_WINDOW = WindowRequest(2500.0, 15000.0)
MARKER = ".ctloupe-demo"
ROW = "SR-CycleGAN (tiny)"


@dataclass(frozen=True)
class DemoRequest:
    """How much the demo makes and trains; the defaults take about five minutes on two cores."""

    size: tuple[int, int, int] = (64, 768, 768)
    minutes: float = 3.0
    steps: int | None = None
    per_case: int = 1000
    seed: int = 0


def run_demo(out: Path, request: DemoRequest, progress: Progress, overwrite: bool = False) -> Path:
    """Run every stage into the folder `out` and return the path of its report.

    Raises
    ------
    FileError
        If the folder exists without `overwrite`, or was not made by the demo.
    """
    _fresh_folder(out, overwrite)
    stages = Stages()
    with stages.stage("make phantoms"):
        _phantoms(out, request)
    with stages.stage("prepare patch banks"):
        prepare_banks(_bank_request(out, request), out / "bank", overwrite=True)
    with stages.stage("train"):
        model = train(_settings(out, request), progress)
    with stages.stage("enhance"):
        _enhance(out, model)
    with stages.stage("evaluate"):
        found, tissues, report = _evaluate(out)
    _finish(out, report, found, tissues, stages)
    return out / "report.html"


def _fresh_folder(out: Path, overwrite: bool) -> None:
    if out.exists():
        if not overwrite:
            raise FileError(f"{out}: exists already; give `overwrite` or another `out`")
        if not (out / MARKER).is_file():
            raise FileError(f"{out}: was not made by the demo and is left alone; give another `out`")
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / MARKER).write_text("This folder was made by 'ctloupe demo' and may be replaced by it.\n", encoding="utf-8")


def _phantoms(out: Path, request: DemoRequest) -> None:
    """Scan two anatomies clinically, two others by µCT, and one by both for the comparison."""
    for number in range(2):
        case = make_phantom(DEFAULT, request.size, request.seed * 100 + 1 + number)
        write(case.clinical, out / "clinical" / f"case-{number + 1}.nii.gz")
        case = make_phantom(DEFAULT, request.size, request.seed * 100 + 11 + number)
        write(case.micro, out / "micro" / f"specimen-{number + 1}.nii.gz")
    # Not 21: the tiny preset was chosen by looking at that one.
    make_phantom(DEFAULT, request.size, request.seed * 100 + 31).write(out / "held-out")


def _bank_request(out: Path, request: DemoRequest) -> BankRequest:
    return BankRequest(
        clinical=tuple(sorted((out / "clinical").glob("*.nii.gz"))),
        micro=tuple(sorted((out / "micro").glob("*.nii.gz"))),
        scale=SCALE,
        per_case=request.per_case,
        seed=request.seed,
        clinical_window=CLINICAL_WINDOW,
        micro_window=MICRO_WINDOW,
    )


def _settings(out: Path, request: DemoRequest) -> TrainSettings:
    config = methods.get("sr-cyclegan").configure("tiny", {"scale": SCALE})
    return TrainSettings(
        method="sr-cyclegan",
        preset="tiny",
        config=config.model_dump(mode="json"),
        bank=(out / "bank").resolve(),
        out=out / "run",
        seed=request.seed,
        minutes=None if request.steps else request.minutes,
        steps=request.steps,
    )


def _enhance(out: Path, model: Path) -> None:
    enhance_files(EnhanceRequest(out / "held-out" / "clinical.nii.gz", out / "enhanced.ome.zarr", model))


def _evaluate(out: Path) -> tuple[Comparison, dict[str, TissueError], Report]:
    held_out = out / "held-out"
    scan = read(held_out / "clinical.nii.gz")
    enhanced = read(out / "enhanced.ome.zarr")
    whole = read(held_out / "truth.nii.gz")
    truth, thick = truth_on_clinical_slices(whole, scan), truth_on_clinical_slices(whole, scan, "slab")
    labels = labels_on_clinical_slices(read(held_out / "labels.nii.gz"), scan)
    found = compare_with_truth(scan, {ROW: enhanced}, truth, labels=labels, thick_truth=thick)
    rows = {"bicubic": interpolated(scan, SCALE), ROW: enhanced}
    tissues = tissue_errors(rows, truth, labels, tissue_names())
    micro = read(out / "micro" / "specimen-1.nii.gz")
    report = Report(f"CT Loupe demo: a phantom {get(DEFAULT).caption} from clinical CT to µCT scale")
    extra = view_of("µCT of another anatomy", micro, micro.shape[0] // 2, (MICRO_WINDOW.low, MICRO_WINDOW.high), "raw")
    shown = Shown(scan, rows, truth, extra=extra)
    add_overview(report, shown)
    add_result(report, found)
    _write_tissues(report, tissues)
    add_sizes(report, found)
    add_details(report, shown)
    add_curves(report, found)
    _write_introduction(report)
    return found, tissues, report


def _write_introduction(report: Report) -> None:
    report.section("What was done")
    report.text(
        f"Two phantom {get(DEFAULT).caption}s were scanned by a simulated clinical CT (0.625 mm voxels), two others by "
        "a simulated µCT (0.078 mm). A small SR-CycleGAN saw only these unpaired scans. It then enhanced the clinical "
        "scan of a fifth anatomy, whose true structure is known because it is a phantom. A training of three minutes "
        "is far from the paper's two hundred epochs, and none of these numbers may be compared with a paper's."
    )


def _write_tissues(report: Report, tissues: dict[str, TissueError]) -> None:
    report.section("By tissue")
    report.text(tissues_in_words(tissues, ROW))
    report.text("Bias is the mean of enhanced − truth, MAE the mean of its magnitude, over the voxels of each label.")
    add_tissues(report, tissues)


def _finish(out: Path, report: Report, found: Comparison, tissues: dict[str, TissueError], stages: Stages) -> None:
    with (out / "run" / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    terms = [name for name in rows[0] if name not in ("step", "epoch", "elapsed_s", "learning_rate")]
    curves = {name: [float(row[name]) for row in rows] for name in terms}
    report.section("Training")
    steps, seconds = len(rows), float(rows[-1]["elapsed_s"])
    report.text(
        f"{steps} steps in {seconds:.0f} s. Every loss term before weighting; lower is better except that the "
        "adversarial and discriminator terms balance each other and should neither vanish nor explode."
    )
    report.figure(
        loss_curves([float(row["step"]) for row in rows], curves),
        "Loss terms, raw (grey) and smoothed (blue).",
        f"Curves of the loss terms over the steps: {', '.join(curves)}.",
    )
    report.section("Time and memory")
    report.table(
        ["stage", "seconds", "peak memory (MB)"],
        [[name, f"{took:.1f}", "" if peak is None else f"{peak:.0f}"] for name, took, peak in stages.rows],
    )
    report.write(out / "report.html")
    facts = {
        "comparison": found.plain(),
        "tissues": {name: asdict(one) for name, one in tissues.items()},
        "stages": [{"name": name, "seconds": took, "peak_mb": peak} for name, took, peak in stages.rows],
        "training_steps": steps,
        "final_losses": {name: float(np.mean(values[-50:])) for name, values in curves.items()},
    }
    save_record(out / "metrics.json", finite(facts))
