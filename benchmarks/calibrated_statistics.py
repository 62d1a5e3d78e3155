"""Do calibrated statistics cost quality? Enhance held-out phantoms three ways with one model.

    python benchmarks/calibrated_statistics.py --model demo/run/model --out docs

Writes ``images/calibrated-statistics.png`` under --out and prints a Markdown table.
"""

from __future__ import annotations

import argparse
import io
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from ctloupe.enhance.options import STITCHES
from ctloupe.enhance.resolver import load_model
from ctloupe.evaluate.alignment import interpolated
from ctloupe.evaluate.protocols.paired_phantom import compare_with_truth
from ctloupe.evaluate.report.page import view_of
from ctloupe.evaluate.report.pictures import Box, panel
from ctloupe.evaluate.seams import seam_visibility
from ctloupe.phantom.clinical_slices import truth_on_clinical_slices
from ctloupe.phantom.config import PhantomConfig
from ctloupe.phantom.phantom import make_phantom

LABELS = {
    "patches": "(a) independent patches",
    "slice": "(b) whole slice, its own statistics",
    "calibrated": "(c) whole slice, calibrated statistics",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[9001, 9002, 9003])
    parser.add_argument("--size", type=int, nargs=3, default=[32, 768, 768])
    options = parser.parse_args()
    resolver = load_model(options.model)
    period = resolver.patch_size * resolver.scale
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for seed in options.seeds:
        case = make_phantom("lung", tuple(options.size), seed, PhantomConfig(scale=resolver.scale))
        truth = truth_on_clinical_slices(case.truth, case.clinical)
        made = {LABELS[way]: resolver.with_options(stitch=way).enhance(case.clinical) for way in reversed(STITCHES)}
        rows = compare_with_truth(case.clinical, made, truth).rows
        volumes = {"bicubic": interpolated(case.clinical, resolver.scale)} | made | {"truth": truth}
        for name, volume in volumes.items():
            found[name]["seam visibility"].append(seam_visibility(np.asarray(volume.data), period, resolver.scale))
            for metric, value in rows.get(name, {}).items():
                found[name][metric].append(value)
        if seed == options.seeds[0]:
            write_picture(options.out / "images" / "calibrated-statistics.png", made, truth, period)
    metrics = list(found["bicubic"])
    print("| | " + " | ".join(metrics) + " |")
    print("|---" * (len(metrics) + 1) + "|")
    for name, values in found.items():
        cells = [f"{np.mean(v):.3f} ± {np.std(v, ddof=1):.3f}" if (v := values[m]) else "" for m in metrics]
        print(f"| {name} | " + " | ".join(cells) + " |")
    print(f"\nMean ± standard deviation over {len(options.seeds)} phantoms, seeds {options.seeds}.")


def write_picture(path, made, truth, period) -> None:
    z = truth.shape[0] // 2
    side = period * truth.spacing[2]
    views = [view_of(name, volume, z) for name, volume in [*made.items(), ("truth", truth)]]
    # The magnified square is centred on a corner where four patches meet.
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.open(io.BytesIO(panel(views, zoom=Box(side - 6, side - 6, 12))))
    picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(path, optimize=True)


if __name__ == "__main__":
    main()
