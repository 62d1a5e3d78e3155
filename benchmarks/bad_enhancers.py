"""What each metric sees and does not see: bad enhancers of known badness, their numbers, and pictures for the docs.

python benchmarks/bad_enhancers.py --out docs/images
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image

from ctloupe.evaluate.alignment import interpolated
from ctloupe.evaluate.comparison import BASELINE
from ctloupe.evaluate.metrics.calibration import ErrorSample
from ctloupe.evaluate.metrics.decorrelation import DECORRELATION_RESOLUTION
from ctloupe.evaluate.metrics.texture import Unpaired, texture_of
from ctloupe.evaluate.protocols.no_truth import compare_without_truth
from ctloupe.evaluate.protocols.paired_phantom import compare_with_truth
from ctloupe.evaluate.protocols.registry import metrics_by_label
from ctloupe.evaluate.report.page import square_of, varied_square
from ctloupe.evaluate.report.pictures import Axes2D, View, curves, panel
from ctloupe.evaluate.suite.controls import control_rows
from ctloupe.images.windows import IntensityWindow
from ctloupe.phantom.anatomies.lung import LUNG
from ctloupe.phantom.clinical_slices import labels_on_clinical_slices, truth_on_clinical_slices
from ctloupe.phantom.phantom import make_phantom

WRONG = "texture in the wrong place"
MILD = "texture in the wrong place, blurred"
STORIES = {
    "psnr": ("psnr_db", ("half a scan voxel off", WRONG, MILD)),
    "ssim": ("ssim", ("noisy", "sharpened", "blurred")),
    "mae": ("mae_hu", ("half a scan voxel off", WRONG, MILD)),
    "resolution": ("resolution_mm", (BASELINE, WRONG, "noisy")),
    "spectrum": ("spectrum_distance_db", ("blurred", "sharpened", WRONG)),
    "edge": ("edge_width_mm", (BASELINE, "blurred", "sharpened")),
    "walls": ("wall_thickness_error_mm", (BASELINE, "blurred", "noisy")),
    "dice": ("lumen_dice", (BASELINE, WRONG, "sharpened")),
    "surface": ("vessel_surface_distance_mm", (BASELINE, "half a scan voxel off", "noisy")),
    "false": ("false_lumens_per_cm3", (WRONG, MILD, BASELINE)),
    "missed": ("missed_vessels_per_cm3", (BASELINE, WRONG, "blurred")),
    "consistency": ("consistency_rms_hu", ("half a scan voxel off", WRONG, "blurred")),
    "wasserstein": ("sliced_wasserstein_to_micro", ("blurred", "sharpened", WRONG)),
    "mesh": ("mesh_db", (BASELINE, "noisy", "meshed")),
    "hu-moments": ("m_hum_i2", ("blurred", "noisy", WRONG)),
    "decorrelation": ("decorrelation_resolution_mm", (BASELINE, WRONG, MILD)),
}
"""For each picture: the key of the metric, and three enhancers beside the truth."""


def keep(png, path, share=0.65):
    """Write a picture small enough for a repository."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image = image.resize([round(length * share) for length in image.size], Image.Resampling.LANCZOS)
    image.quantize(48).save(path, optimize=True)


def number(value):
    return "–" if np.isnan(value) else f"{value:.3g}"


def uncertainty_figure(truth, noisy):
    """Reliability of σ that is right, too small, and right on average without knowing where."""
    random = np.random.default_rng(0)
    error = (np.asarray(noisy.data, float) - np.asarray(truth.data, float)).ravel()[::40]
    spread = random.uniform(0.3, 1.7, error.size)
    error = error * spread
    kinds = {"honest": 150 * spread, "half as large": 75 * spread, "the same everywhere": np.full(error.size, 176.0)}
    lines = {}
    print("\n| uncertainty | coverage 80% | calibration error | AUSE | Spearman | factor |\n|---|---|---|---|---|---|")
    for name, sigma in kinds.items():
        judged = ErrorSample(error, sigma, np.zeros(error.size, np.int64)).judged()
        lines[name] = (judged.asked.tolist(), judged.covered.tolist())
        row = (judged.numbers[key] for key in ("coverage 80%", "calibration error", "AUSE", "Spearman", "factor"))
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in row) + " |")
    axes = Axes2D("probability the uncertainty claims", "share of errors inside", diagonal=True)
    return curves(lines, axes)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--size", type=int, nargs=3, default=[64, 512, 512])
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--only", nargs="+", choices=STORIES, default=list(STORIES), help="metrics to picture")
    parser.add_argument("--side", type=int, default=16, help="of the pictured square, in scan voxels")
    arguments = parser.parse_args()
    case, other = (
        make_phantom("lung", tuple(arguments.size), arguments.seed),
        make_phantom("lung", tuple(arguments.size), arguments.seed + 100),
    )
    scan = case.clinical
    truth = truth_on_clinical_slices(case.truth, scan)
    truth = truth.with_data(truth.array())
    thick = truth_on_clinical_slices(case.truth, scan, "slab")
    labels = labels_on_clinical_slices(case.labels, scan)
    window = IntensityWindow(-1000, 400)
    look = Unpaired(texture_of(other.micro, IntensityWindow(2500, 15000), truth.spacing[1:]), window)
    made = {"truth": truth, **control_rows(truth, 8)}
    found = compare_with_truth(scan, made, truth, labels=labels, unpaired=look, thick_truth=thick)
    alone = compare_without_truth(scan, made)
    shown = {**made, BASELINE: interpolated(scan, 8)}
    rows = {name: alone.rows[name] | found.rows[name] for name in found.rows}
    arguments.out.mkdir(parents=True, exist_ok=True)
    metrics = [*found.definitions, DECORRELATION_RESOLUTION.label]
    by_key = {metric.key: metric.label for metric in metrics_by_label().values()}
    print("| metric | " + " | ".join(rows) + " |\n|---|" + "---|" * len(rows))
    for metric in metrics:
        print(f"| {metric} | " + " | ".join(number(row[metric]) for row in rows.values()) + " |")

    side = min(arguments.side, *scan.shape[1:])
    corner = varied_square(scan, side)

    def view(name, caption):
        plane, spacing = square_of(shown[name], scan, corner, side), shown[name].spacing[1:]
        return View(caption, plane, spacing, LUNG.display)

    for slug, (key, names) in ((slug, STORIES[slug]) for slug in arguments.only):
        metric = by_key[key]
        views = [view(name, f"{name}\n{metric}: {number(rows[name][metric])}") for name in ("truth", *names)]
        keep(panel(views), arguments.out / f"metric-{slug}.png")
    everything = [view(name, name) for name in ("truth", BASELINE, *list(made)[1:])]
    keep(panel(everything, rows=2), arguments.out / "bad-enhancers.png")
    keep(uncertainty_figure(truth, made["noisy"]), arguments.out / "metric-uncertainty.png", 0.9)


if __name__ == "__main__":
    main()
