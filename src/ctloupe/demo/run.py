"""The demo: unpaired phantoms, a short training, a held-out phantom enhanced and compared with its truth."""

from __future__ import annotations

import csv
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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
from ctloupe.foundation.atomic import require_place
from ctloupe.foundation.errors import FileError
from ctloupe.foundation.progress import Progress
from ctloupe.foundation.records import finite, save_record
from ctloupe.phantom.anatomies.registry import DEFAULT, get, tissue_names
from ctloupe.phantom.clinical_slices import labels_on_clinical_slices, truth_on_clinical_slices
from ctloupe.phantom.together import Wanted, write_wanted
from ctloupe.prepare.banks import BankRequest, WindowRequest, prepare_banks
from ctloupe.train.loop import train
from ctloupe.train.settings import TrainSettings
from ctloupe.volume.formats import read

SCALE = 8
CLINICAL_WINDOW = WindowRequest(-1000.0, 400.0)
MICRO_WINDOW = WindowRequest(2500.0, 15000.0)
MARKER = ".ctloupe-demo"
UNPAIRED, SAMPLE, MEAN = "SR-CycleGAN", "Physics-Flow, a sample", "Physics-Flow, mean"
RUNS = {"sr-cyclegan": "run", "physics-flow": "flow"}
"""Methods that are trained, each for half of the time, and the folders of their runs."""
OUTPUTS = {UNPAIRED: "enhanced.ome.zarr", SAMPLE: "flow-sample.ome.zarr", MEAN: "flow-mean.ome.zarr"}
"""Rows of the report, and the volumes they are of."""


@dataclass(frozen=True)
class DemoRequest:
    """How much the demo makes and trains; minutes and steps are those of both trainings together."""

    size: tuple[int, int, int] = (64, 768, 768)
    minutes: float = 3.5
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
    for method in RUNS:
        with stages.stage(f"train {method}"):
            train(_settings(out, request, method), progress)
    with stages.stage("enhance"):
        _enhance(out)
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
    require_place(out)
    out.mkdir(parents=True)
    (out / MARKER).write_text("This folder was made by 'ctloupe demo' and may be replaced by it.\n", encoding="utf-8")


def _phantoms(out: Path, request: DemoRequest) -> None:
    """Scan two anatomies clinically, two others by µCT, and one by both for the comparison."""
    seed, wanted = request.seed * 100, []
    for number in (1, 2):
        clinical, micro = out / "clinical" / f"case-{number}.nii.gz", out / "micro" / f"specimen-{number}.nii.gz"
        wanted.append(Wanted(DEFAULT, request.size, seed + number, None, clinical, "clinical"))
        wanted.append(Wanted(DEFAULT, request.size, seed + 10 + number, None, micro, "micro"))
    # Not 21: the tiny preset was chosen by looking at that one.
    wanted.append(Wanted(DEFAULT, request.size, seed + 31, None, out / "held-out"))
    write_wanted([("", one) for one in wanted])


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


def _settings(out: Path, request: DemoRequest, method: str) -> TrainSettings:
    config = methods.get(method).configure("tiny", {"scale": SCALE})
    return TrainSettings(
        method=method,
        preset="tiny",
        config=config.model_dump(mode="json"),
        bank=(out / "bank").resolve(),
        out=out / RUNS[method],
        seed=request.seed,
        minutes=None if request.steps else request.minutes / len(RUNS),
        steps=None if request.steps is None else max(1, request.steps // len(RUNS)),
    )


def _enhance(out: Path) -> None:
    scan = out / "held-out" / "clinical.nii.gz"
    enhance_files(EnhanceRequest(scan, out / OUTPUTS[UNPAIRED], out / RUNS["sr-cyclegan"] / "model"))
    for row, output in ((MEAN, "mean"), (SAMPLE, "sample")):
        model = out / RUNS["physics-flow"] / "model"
        enhance_files(EnhanceRequest(scan, out / OUTPUTS[row], model, output=output))


def _evaluate(out: Path) -> tuple[Comparison, dict[str, TissueError], Report]:
    held_out = out / "held-out"
    scan = read(held_out / "clinical.nii.gz")
    enhanced = {row: read(out / name) for row, name in OUTPUTS.items()}
    whole = read(held_out / "truth.nii.gz")
    truth, thick = truth_on_clinical_slices(whole, scan), truth_on_clinical_slices(whole, scan, "slab")
    labels = labels_on_clinical_slices(read(held_out / "labels.nii.gz"), scan)
    found = compare_with_truth(scan, enhanced, truth, labels=labels, thick_truth=thick)
    rows = {"bicubic": interpolated(scan, SCALE), **enhanced}
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
        "a simulated µCT (0.078 mm). A small SR-CycleGAN saw only these unpaired scans, and so did a small "
        "Physics-Flow, which first estimates the clinical scanner. Both then enhanced the clinical scan of a fifth "
        "anatomy, whose true structure is known because it is a phantom. Physics-Flow gives the mean of what the scan "
        "allows, which leaves out what cannot be known, and a sample, which invents it. A training of minutes is far "
        "from the paper's two hundred epochs, and none of these numbers may be compared with a paper's."
    )


def _write_tissues(report: Report, tissues: dict[str, TissueError]) -> None:
    report.section("By tissue")
    for row in OUTPUTS:
        report.text(tissues_in_words(tissues, row))
    add_tissues(report, tissues)


def _finish(out: Path, report: Report, found: Comparison, tissues: dict[str, TissueError], stages: Stages) -> None:
    report.section("Training")
    report.text(
        "Every loss term before weighting; lower is better except that the adversarial and discriminator terms balance "
        "each other and should neither vanish nor explode."
    )
    trained = {method: _write_training(report, method, out / folder) for method, folder in RUNS.items()}
    report.section("Time and memory")
    report.table(
        ["stage", "seconds", "peak memory (MB)"],
        [[name, f"{took:.1f}", "" if peak is None else f"{peak:.0f}"] for name, took, peak in stages.rows],
        "Every stage of the demo, in its order.",
    )
    report.write(out / "report.html")
    facts = {
        "comparison": found.plain(),
        "tissues": {name: asdict(one) for name, one in tissues.items()},
        "stages": [{"name": name, "seconds": took, "peak_mb": peak} for name, took, peak in stages.rows],
        "training": trained,
    }
    save_record(out / "metrics.json", finite(facts))


def _write_training(report: Report, method: str, run: Path) -> dict[str, Any]:
    """Draw the loss terms of a run, and return its length and how it ended."""
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    terms = [name for name in rows[0] if name not in ("step", "epoch", "elapsed_s", "learning_rate")]
    losses = {name: [float(row[name]) for row in rows] for name in terms}
    report.text(f"{method}: {len(rows)} steps in {float(rows[-1]['elapsed_s']):.0f} s.")
    report.figure(
        loss_curves([float(row["step"]) for row in rows], losses),
        f"Loss terms of {method}, raw (grey) and smoothed (blue).",
        f"Curves of the loss terms over the steps: {', '.join(losses)}.",
    )
    return {
        "steps": len(rows),
        "final_losses": {name: float(np.mean(values[-50:])) for name, values in losses.items()},
    }
