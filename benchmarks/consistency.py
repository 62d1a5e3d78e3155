"""What correcting a flow by its scanner gives: volumes with and without, for `ctloupe evaluate`.

python benchmarks/consistency.py --model runs/flow/model --bank bank --scan clinical.nii.gz --out volumes

A package of before slices were told from planes learns the difference from the bank here.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ctloupe.enhance.resolver import load_model
from ctloupe.enhance.where import mask_to_enhance
from ctloupe.scanner.thin_plane import thin_plane_power
from ctloupe.train.bank_pair import device_bank, load_banks
from ctloupe.volume.formats import read

CHOICES = {
    "off": {},
    "blocks": {"consistent": True},
    "scanner": {"consistent": True, "consistent_with": "scanner"},
    "plane": {"consistent": True, "consistent_with": "plane"},
}
PATCHES = 64


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--bank", type=Path, required=True)
    parser.add_argument("--scan", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--mask", default="lungs")
    parser.add_argument("--choices", nargs="*", default=list(CHOICES), choices=list(CHOICES))
    parser.add_argument("--outputs", nargs="*", default=["mean", "sample"], choices=["mean", "sample"])
    arguments = parser.parse_args()
    resolver = load_model(arguments.model)
    network = resolver.model.network
    if network.thin_plane_power(0.0) is None:
        network.thin_plane.copy_(torch.from_numpy(_from_bank(arguments.bank, resolver)))
    scan = read(arguments.scan)
    mask = mask_to_enhance(arguments.mask, scan)
    for output in arguments.outputs:
        for name in arguments.choices:
            options = {"output": output, "seed": 1, "blend_outside": arguments.mask == "lungs"} | CHOICES[name]
            path = arguments.out / f"{output}-{name}.nii.gz"
            print(path, flush=True)
            resolver.with_options(**options).enhance_to(scan, path, mask, tell=print)


def _from_bank(bank, resolver):
    """Power by which planes differ from slices, in squared units of [−1, 1] of the scan."""
    stored = device_bank(load_banks(bank).micro, torch.device("cpu"), slice_averages=True)
    chosen, corner = torch.arange(PATCHES), torch.zeros(PATCHES, 2, dtype=torch.int64)
    middle, averaged = (
        stored.unit(chosen, stored.patches.shape[-1], corner, averaged=one)[:, 0].numpy() for one in (False, True)
    )
    gain = resolver.model.training["findings"]["gain"]
    return thin_plane_power(middle, averaged, resolver.scale) * gain**2


if __name__ == "__main__":
    main()
