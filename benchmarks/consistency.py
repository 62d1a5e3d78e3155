"""What correcting a flow by its scanner gives: volumes with and without, for `ctloupe evaluate`.

python benchmarks/consistency.py --model runs/flow/model --scan clinical.nii.gz --out volumes
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from ctloupe.enhance.resolver import load_model
from ctloupe.enhance.where import mask_to_enhance
from ctloupe.volume.formats import read

CHOICES = {
    "off": {},
    "blocks": {"consistent": True},
    "scanner": {"consistent": True, "consistent_with": "scanner"},
    "plane": {"consistent": True, "consistent_with": "plane"},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--scan", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--mask", default="lungs")
    parser.add_argument("--choices", nargs="*", default=list(CHOICES), choices=list(CHOICES))
    parser.add_argument("--outputs", nargs="*", default=["mean", "sample"], choices=["mean", "sample"])
    arguments = parser.parse_args()
    resolver = load_model(arguments.model)
    scan = read(arguments.scan)
    mask = mask_to_enhance(arguments.mask, scan)
    known = resolver.model.network.thin_plane_power(0.0) is not None
    print("| output | consistent with | RMS change (HU) | seconds |\n|---|---|---|---|")
    for output in arguments.outputs:
        plain = None
        # What a package does not know about planes cannot be taken into account.
        for name in (one for one in arguments.choices if known or one != "plane"):
            options = {"output": output, "seed": 1, "blend_outside": arguments.mask == "lungs"} | CHOICES[name]
            path = arguments.out / f"{output}-{name}.nii.gz"
            begun = time.perf_counter()
            resolver.with_options(**options).enhance_to(
                scan, path, mask, tell=lambda line: print(line, file=sys.stderr)
            )
            seconds, made = time.perf_counter() - begun, read(path).array().astype(np.float32)
            plain = made if plain is None else plain
            print(f"| {output} | {name} | {np.sqrt(np.mean((made - plain) ** 2)):.1f} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
