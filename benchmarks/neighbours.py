"""What neighbouring slices are worth: Physics-Flow trained with and without them, by the distance of the slices.

python benchmarks/neighbours.py
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from ctloupe.enhance.resolver import load_model
from ctloupe.evaluate.metrics.fidelity import DATA_RANGE_HU
from ctloupe.phantom.clinical import clinical_scan
from ctloupe.phantom.clinical_slices import truth_on_clinical_slices
from ctloupe.phantom.config import PhantomConfig
from ctloupe.phantom.phantom import make_phantom
from ctloupe.prepare.banks import BankRequest, WindowRequest, prepare_banks
from ctloupe.train.loop import train
from ctloupe.train.request import TrainRequest
from ctloupe.volume.formats import write

SCALE = 8
FINE = 0.078125


def bank_of(folder, micro, anatomy, slices, noise, patch, per_case):
    """A bank of two µCTs, and of a scan of a third phantom whose slices are so many µCT slices thick."""
    scan = clinical_scan(anatomy.truth, SCALE, slices, noise_hu=noise, seed=7)
    write(scan, folder / f"scan-{slices}.nii.gz")
    request = BankRequest(
        (folder / f"scan-{slices}.nii.gz",),
        tuple(micro),
        scale=SCALE,
        patch_size=patch,
        per_case=per_case,
        clinical_mask="none",
        micro_mask="none",
        clinical_window=WindowRequest(-1000, 400),
        micro_window=WindowRequest(2500, 15000),
        neighbours=True,
    )
    prepare_banks(request, folder / f"bank-{slices}")
    return folder / f"bank-{slices}"


def trained(bank, out, neighbours, seed, arguments):
    """A model of a reduced width, after the stated number of steps."""
    changes = {
        "width": arguments.width,
        "blocks": arguments.blocks,
        "fine_width": arguments.width // 2,
        "patch_size": arguments.patch,
        # The mean is what is judged, so that it gets most of a short training.
        "mean_fraction": 0.75,
        "texture": False,
        "neighbours": neighbours,
        "epochs": 10_000,
    }
    asked = TrainRequest(
        bank,
        out,
        "physics-flow",
        "tiny",
        changes=changes,
        steps=arguments.steps,
        seed=seed,
        accelerator=arguments.accelerator,
        preview_steps=10_000,
    )
    return load_model(train(asked.settings()), SCALE).with_options(precision="float32")


def errors(image, truth):
    """PSNR in dB and mean absolute error in HU."""
    off = np.asarray(image, dtype=np.float64) - truth
    return 10 * np.log10(DATA_RANGE_HU**2 / np.mean(off**2)), np.abs(off).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", default="lung")
    parser.add_argument("--size", type=int, nargs=3, default=[320, 256, 256], help="fine voxels of each phantom")
    parser.add_argument("--slices", type=int, nargs="+", default=[8, 16, 64], help="µCT slices in a clinical slice")
    parser.add_argument("--noise", type=float, default=20.0, help="HU")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each kind")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--patch", type=int, default=16)
    parser.add_argument("--per-case", type=int, default=400)
    parser.add_argument("--accelerator", default="cpu")
    arguments = parser.parse_args()
    # Noise is drawn anew for every slice thickness; the anatomies are the same.
    made = [
        make_phantom(arguments.kind, tuple(arguments.size), seed, PhantomConfig(scale=SCALE, slices=SCALE))
        for seed in (21, 22, 23, 24)
    ]
    print("| slices, mm | seed | bicubic: PSNR dB, MAE HU | one slice | three slices | gain, dB |", flush=True)
    print("|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        micro = [folder / f"micro-{number}.nii.gz" for number in (0, 1)]
        for case, path in zip(made, micro, strict=False):
            write(case.micro, path)
        for slices in arguments.slices:
            bank = bank_of(folder, micro, made[2], slices, arguments.noise, arguments.patch, arguments.per_case)
            scan = clinical_scan(made[3].truth, SCALE, slices, noise_hu=arguments.noise, seed=8)
            truth = truth_on_clinical_slices(made[3].truth, scan).array()
            plain = errors(load_model("bicubic", SCALE).enhance(scan).array(), truth)
            for seed in range(arguments.seeds):
                found = []
                for neighbours in (False, True):
                    out = folder / f"run-{slices}-{seed}-{neighbours}"
                    found.append(errors(trained(bank, out, neighbours, seed, arguments).enhance(scan).array(), truth))
                row = " | ".join(f"{psnr:.2f}, {mae:.1f}" for psnr, mae in (plain, *found))
                gain = found[1][0] - found[0][0]
                print(f"| {slices * FINE:.3g} | {seed} | {row} | {gain:+.2f} |", flush=True)


if __name__ == "__main__":
    main()
