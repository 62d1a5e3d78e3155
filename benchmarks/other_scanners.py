"""One lung seen by a usual scanner and by those of the second family: a picture of each, and what differs in numbers.

python benchmarks/other_scanners.py --out docs/images
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ctloupe.enhance.resolver import load_model
from ctloupe.phantom.clinical import clinical_scan
from ctloupe.phantom.clinical_slices import truth_on_clinical_slices
from ctloupe.phantom.config import PhantomConfig
from ctloupe.phantom.phantom import make_phantom
from ctloupe.scanner.other_scanner import PARTS
from ctloupe.volume.volume import Volume

SCALE, NOISE = 8, 45.0
BANDS = 8
"""Strips of rows whose noise is compared."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for other-scanners.png")
    parser.add_argument("--model", action="append", default=[], help="folder of a package; any number")
    parser.add_argument("--size", type=int, nargs=3, default=[16, 512, 512])
    parser.add_argument("--repeats", type=int, default=40, help="scans whose noise is measured")
    arguments = parser.parse_args()
    made = make_phantom("lung", tuple(arguments.size), 21, PhantomConfig(options={"nodule": True}))
    models = {name: load_model(name, SCALE) for name in ("bicubic", *arguments.model)}
    head = ["scanner", "overshoot at an edge", "noise from row to row over column to column", "noise by rows, HU"]
    print("| " + " | ".join([*head, *(f"RMS error of {name}, HU" for name in models)]) + " |")
    print("|---" * (len(head) + len(models)) + "|")
    scans = {}
    for parts in ((), *((name,) for name in PARTS)):
        name = " and ".join(parts) or "usual"
        scan = scans[name] = clinical_scan(made.truth, SCALE, SCALE, noise_hu=NOISE, parts=parts, seed=21)
        truth = truth_on_clinical_slices(made.truth, scan).array().astype(np.float64)
        errors = [np.sqrt(np.mean((one.enhance(scan).array() - truth) ** 2)) for one in models.values()]
        across, rows = noise_of(parts, arguments.size[1], arguments.repeats)
        cells = [f"{overshoot(parts):.1%}", f"{across:.2f}", f"{rows.min():.0f} to {rows.max():.0f}"]
        print(f"| {' | '.join([name, *cells, *(f'{error:.0f}' for error in errors)])} |", flush=True)
    draw(scans, arguments.out / "other-scanners.png")


def overshoot(parts):
    """How far the scan of an edge goes beyond its higher side, as a share of the step."""
    edge = np.zeros((SCALE, 16, 256), np.int16)
    edge[:, :, 128:] = 10000
    scan = clinical_scan(Volume(edge, (0.078125,) * 3, units="HU"), SCALE, SCALE, noise_hu=0, parts=parts)
    return max(0.0, scan.data.max() / 10000 - 1)


def noise_of(parts, side, repeats):
    """Mean square of differences from row to row over that from column to column, and deviation by strips of rows."""
    even = Volume(np.full((SCALE * repeats, side, side), -850, np.int16), (0.078125,) * 3, units="HU")
    noise = clinical_scan(even, SCALE, SCALE, noise_hu=NOISE, parts=parts, seed=22).data + 850.0
    across = np.mean(np.diff(noise, axis=1) ** 2) / np.mean(np.diff(noise, axis=2) ** 2)
    return across, np.array([strip.std() for strip in np.array_split(noise, BANDS, axis=1)])


def draw(scans, path):
    figure = Figure(figsize=(13, 9), dpi=90, layout="constrained")
    for axis, (name, scan) in zip(figure.subplots(2, 3).ravel(), scans.items(), strict=True):
        axis.imshow(scan.data[0], cmap="gray", vmin=-1000, vmax=200)
        axis.set_title(name)
        axis.axis("off")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


if __name__ == "__main__":
    main()
