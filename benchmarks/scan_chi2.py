"""Consistency χ² of the truth and of enhancers of known badness, on phantoms of the suite's kinds.

python benchmarks/scan_chi2.py
"""

from __future__ import annotations

import argparse

import numpy as np

from ctloupe.evaluate.metrics.consistency import CONSISTENCY_RMS
from ctloupe.evaluate.metrics.scan_chi2 import CONSISTENCY_CHI2
from ctloupe.evaluate.protocols.paired_phantom import compare_with_truth
from ctloupe.evaluate.suite.controls import control_rows
from ctloupe.evaluate.suite.definition import load_suite
from ctloupe.phantom.clinical_slices import truth_on_clinical_slices
from ctloupe.scanner.estimate_noise import estimate_noise

SLAB, PLANE = "truth, slab", "truth, plane"


def measured(spec, scale):
    """The comparison of a phantom, the noise of its scan in HU, and the noise that the scan alone seems to have."""
    case = spec.make(scale)
    scan = case.clinical
    plane, slab = (truth_on_clinical_slices(case.truth, scan, mode) for mode in ("centre", "slab"))
    slab = slab.with_data(slab.array())
    rows = {SLAB: slab, PLANE: plane, "slab + 30 HU": slab.with_data(slab.array() + 30), **control_rows(slab, scale)}
    alone = estimate_noise(scan.array().astype(np.float32)).noise
    return compare_with_truth(scan, rows, plane, thick_truth=slab), case.config.noise_hu, alone


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", default="lung-v1")
    parser.add_argument("--cases", nargs="+", default=["standard-1", "sharp-low-dose", "ear"])
    parser.add_argument("--size", type=int, nargs=3, default=[64, 256, 256])
    arguments = parser.parse_args()
    suite = load_suite(arguments.suite)
    found = {}
    for case in suite.cases:
        if case.key in arguments.cases:
            spec = case.model_copy(update={"size": tuple(arguments.size)})
            found[case.key], made_with, alone = measured(spec, suite.scale)
            scanner = found[case.key].facts["scanner"]
            print(
                f"{case.key}: {spec.in_words()}: blur {scanner['blur_mm']:.3f} mm and noise {scanner['noise_hu']:.1f} "
                f"HU found from truth and scan; made with {made_with:g} HU; {alone:.1f} HU from the scan alone"
            )
    for metric in (CONSISTENCY_CHI2, CONSISTENCY_RMS):
        print(f"\n| {metric.label} | " + " | ".join(found) + " |\n|---|" + "---|" * len(found))
        for row in next(iter(found.values())).rows:
            print(f"| {row} | " + " | ".join(f"{one.rows[row][metric.label]:.2f}" for one in found.values()) + " |")


if __name__ == "__main__":
    main()
