"""Real µCT as truth (protocol paired-micro): bicubic, and Physics-Flow trained on the other slices of the same volumes.

python benchmarks/paired_micro.py --micro bone.tif shell.tif cement.tif
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from ctloupe.enhance.resolver import load_model
from ctloupe.evaluate.case_scanner import known_scanner
from ctloupe.evaluate.protocols.paired_micro import PAIRED_MICRO, compare_with_micro
from ctloupe.phantom.clinical_slices import truth_on_clinical_slices
from ctloupe.phantom.paired_micro import PairedMicroRequest, pair_micro
from ctloupe.prepare.banks import BankRequest, WindowRequest, prepare_banks
from ctloupe.train.loop import train
from ctloupe.train.request import TrainRequest
from ctloupe.volume.formats import read

GAP = 8
"""Slices between those of training and those held out, so that none is nearly the same as another."""


def pairs(arguments, held_out):
    """One pair a volume: of the slices of training, or of those held out, by scanners of other seeds."""
    for number, path in enumerate(arguments.micro):
        # Only stacks of pictures do not say how large their voxels are.
        voxel = (arguments.voxel,) * 3 if path.suffix in (".tif", ".tiff") else None
        depth = read(path, voxel_size=voxel).shape[0]
        border = round(depth * arguments.share)
        planes = (border + GAP, depth) if held_out else (0, border)
        seed = arguments.seed + number + (0 if held_out else 1000)
        yield (
            path.stem,
            pair_micro(
                PairedMicroRequest(path, seed, arguments.scale, arguments.scale, planes, voxel_size=voxel),
            ),
        )


def trained(arguments, folder):
    """Physics-Flow on patches of the slices of training, with the window that the truths are in."""
    for name, pair in pairs(arguments, held_out=False):
        pair.write(folder / name)
    window = WindowRequest(*PairedMicroRequest.hu)
    places = [folder / path.stem for path in arguments.micro]
    request = BankRequest(
        tuple(place / "clinical.nii.gz" for place in places),
        tuple(place / "truth.nii.gz" for place in places),
        scale=arguments.scale,
        patch_size=arguments.patch,
        per_case=arguments.per_case,
        clinical_mask="none",
        micro_mask="none",
        clinical_window=window,
        micro_window=window,
    )
    prepare_banks(request, folder / "bank")
    asked = TrainRequest(
        folder / "bank",
        folder / "run",
        "physics-flow",
        "tiny",
        changes={"scale": arguments.scale, "patch_size": arguments.patch},
        steps=arguments.steps,
        minutes=arguments.minutes,
    )
    return load_model(train(asked.settings()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--micro", type=Path, nargs="+", required=True, help="µCT volumes; the names become headings")
    parser.add_argument("--voxel", type=float, default=0.05, help="edge of a voxel in mm, of TIFF")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--share", type=float, default=0.6, help="share of the slices that is trained on")
    parser.add_argument("--patch", type=int, default=16, help="side of a patch in clinical pixels")
    parser.add_argument("--per-case", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = trained(arguments, Path(folder))
    enhancers = {"mean": model, "sample": model.with_options(output="sample")}
    for name, pair in pairs(arguments, held_out=True):
        scan, scanner = pair.clinical, pair.scanner
        made = {row: one.enhance(scan) for row, one in enhancers.items()}
        plane, slab = (truth_on_clinical_slices(pair.truth, scan, mode) for mode in ("centre", "slab"))
        found = compare_with_micro(scan, made, plane, known_scanner(scanner), thick_truth=slab)
        print(
            f"\n{name}: scan of {scan.shape}, blur {scanner.blur_voxels:.2f} voxels, noise {scanner.noise:.0f} HU, "
            f"rise {scanner.spectrum.rise:.2f}, roll-off {scanner.spectrum.roll_off:.2f}\n"
        )
        print("| metric | " + " | ".join(found.rows) + " | truth by the same rule |\n|---|" + "---|" * (len(made) + 2))
        for metric in PAIRED_MICRO.own:
            if metric.in_summary and all(metric.label in row for row in found.rows.values()):
                cells = [f"{row[metric.label]:.3g}" for row in found.rows.values()]
                limit = f"{found.limits[metric.label]:.3g}" if metric.label in found.limits else ""
                print(f"| {metric.label} | " + " | ".join(cells) + f" | {limit} |")


if __name__ == "__main__":
    main()
