"""A region where patches meet, enhanced as the papers do and by ctloupe, with the seam metric of both.

python benchmarks/seams.py --model runs/first/model --scan scan/ --out seams.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from ctloupe.enhance.resolver import load_model
from ctloupe.enhance.where import mask_to_enhance
from ctloupe.evaluate.seams import seam_visibility
from ctloupe.phantom.config import PhantomConfig
from ctloupe.phantom.phantom import make_phantom
from ctloupe.volume.formats import read


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--scan", help="default: a small phantom")
    parser.add_argument("--slice", type=int, help="default: the middle")
    parser.add_argument("--corner", type=int, nargs=2, default=[0, 0], help="y x, near the picture's corner")
    parser.add_argument("--side", type=int, default=72, help="of the picture, in scan voxels")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    scan = read(arguments.scan) if arguments.scan else make_phantom("lung", (8, 256, 256), 3, PhantomConfig()).clinical
    z = scan.shape[0] // 2 if arguments.slice is None else arguments.slice
    model = load_model(arguments.model)
    lungs = mask_to_enhance("lungs", scan)
    region = (slice(z, z + 1), slice(0, scan.shape[1]), slice(0, scan.shape[2]))
    y, x = (one // model.patch_size * model.patch_size for one in arguments.corner)
    side = arguments.side * model.scale
    top, left = y * model.scale, x * model.scale
    figure, axes = plt.subplots(1, 2, figsize=(10, 5.4))
    print("| way | jump at patch borders / jump inside |\n|---|---|")
    for axis, (name, stitch) in zip(axes, (("independent patches", "patches"), ("ctloupe", "calibrated")), strict=True):
        made = np.asarray(model.with_options(stitch=stitch, blend_outside=True).enhance(scan, lungs, region).data)
        inside = made[0, top : top + side, left : left + side]
        period = model.patch_size * model.scale
        # The picture begins at a patch border, so that the metric's borders are those of the patches.
        seam = seam_visibility(inside, period, model.scale)
        print(f"| {name} | {seam:.2f} |")
        axis.imshow(inside, cmap="gray", vmin=-1000, vmax=200)
        axis.set_title(f"{name}: seam {seam:.2f}", fontsize=10)
        axis.set_axis_off()
    figure.suptitle(f"{side} pixels across, −1000 … 200 HU; research use only", fontsize=8)
    figure.tight_layout()
    figure.savefig(arguments.out, dpi=110)


if __name__ == "__main__":
    main()
