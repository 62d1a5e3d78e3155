"""How many steps a sample of a flow needs: its metrics and its time by the number of steps, beside the mean.

python benchmarks/steps.py --model runs/physics-flow/model
"""

from __future__ import annotations

import argparse
import time

from ctloupe.enhance.resolver import load_model
from ctloupe.evaluate.protocols.paired_phantom import compare_with_truth
from ctloupe.phantom.clinical_slices import labels_on_clinical_slices, truth_on_clinical_slices
from ctloupe.phantom.config import PhantomConfig
from ctloupe.phantom.phantom import make_phantom

METRICS = (
    "PSNR (dB)",
    "MAE (HU)",
    "resolution (mm)",
    "spectrum distance (dB)",
    "mesh (dB)",
    "lumen Dice",
    "false lumens (/cm³)",
    "consistency χ²",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder of a Physics-Flow package without a texture")
    parser.add_argument("--kind", default="lung")
    parser.add_argument("--size", type=int, nargs=3, default=[32, 512, 512])
    parser.add_argument("--seed", type=int, default=9001)
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    arguments = parser.parse_args()
    resolver = load_model(arguments.model)
    case = make_phantom(
        arguments.kind, tuple(arguments.size), arguments.seed, PhantomConfig(scale=resolver.scale, noise_hu=20.0)
    )
    scan = case.clinical
    plane, slab = (truth_on_clinical_slices(case.truth, scan, mode) for mode in ("centre", "slab"))
    labels = labels_on_clinical_slices(case.labels, scan)
    # What is taken off flat regions belongs to the mean alone, and would be found anew for each row.
    ways = {"mean": resolver.with_options(flat_field="off")}
    for steps in arguments.steps:
        ways[f"{steps} step" + "s" * (steps > 1)] = resolver.with_options(output="sample", steps=steps)
    made, seconds = {}, {}
    for name, one in ways.items():
        begun = time.perf_counter()
        made[name] = one.enhance(scan)
        seconds[name] = time.perf_counter() - begun
    found = compare_with_truth(scan, made, plane, labels=labels, thick_truth=slab)
    shown = [label for label in METRICS if all(label in row for row in found.rows.values())]
    print("| | " + " | ".join(shown) + " | time, as a ratio to the mean |\n|---" + "|---" * (len(shown) + 1) + "|")
    for name, row in found.rows.items():
        ratio = f"{seconds[name] / seconds['mean']:.1f}" if name in seconds else ""
        print(f"| {name} | " + " | ".join(f"{row[label]:.3g}" for label in shown) + f" | {ratio} |")
    limits = " | ".join(f"{found.limits[label]:.3g}" if label in found.limits else "" for label in shown)
    print(f"| (the truth by the same rule) | {limits} | |")


if __name__ == "__main__":
    main()
