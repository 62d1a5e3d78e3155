"""One model for every kernel, or a model for each? Physics-Flow of a whole range of scanners against trainings for one.

python benchmarks/one_model.py --minutes 6
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
NOISE = {"smooth": 9.7, "standard": 20.0, "sharp": 36.2}
"""HU by kernel, as of one dose."""


def scan_of(case, kernel, seed):
    return clinical_scan(case.truth, SCALE, SCALE, kernel=kernel, noise_hu=NOISE[kernel], seed=seed)


def bank_of(folder, name, scans, micro, arguments):
    """A bank of the µCTs and of these scans."""
    paths = []
    for number, scan in enumerate(scans):
        paths.append(folder / f"{name}-{number}.nii.gz")
        write(scan, paths[-1])
    request = BankRequest(
        tuple(paths),
        tuple(micro),
        scale=SCALE,
        patch_size=arguments.patch,
        per_case=arguments.per_case,
        clinical_mask="none",
        micro_mask="none",
        clinical_window=WindowRequest(-1000, 400),
        micro_window=WindowRequest(2500, 15000),
    )
    prepare_banks(request, folder / name)
    return folder / name


def trained(bank, out, near_fraction, arguments):
    """A model after the stated minutes or steps; scanners are drawn around the estimated one as often as told."""
    changes = {"patch_size": arguments.patch, "near_fraction": near_fraction, "epochs": 10_000, **arguments.changes}
    asked = TrainRequest(
        bank,
        out,
        "physics-flow",
        "tiny",
        changes=changes,
        steps=arguments.steps,
        minutes=None if arguments.steps else arguments.minutes,
        accelerator=arguments.accelerator,
        preview_steps=10_000,
    )
    return load_model(train(asked.settings()), SCALE)


def psnr(image, truth):
    return 10 * np.log10(DATA_RANGE_HU**2 / np.mean((image.array().astype(np.float64) - truth) ** 2))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, nargs=3, default=[64, 512, 512], help="fine voxels of each phantom")
    parser.add_argument("--minutes", type=float, default=6.0, help="of each of the four trainings")
    parser.add_argument("--steps", type=int, help="of each training, instead of minutes")
    parser.add_argument("--patch", type=int, default=24)
    parser.add_argument("--per-case", type=int, default=1000)
    parser.add_argument("--width", type=int, help="of the network, for a quick look")
    parser.add_argument("--kernels", nargs="+", choices=NOISE, default=list(NOISE), help="each with a model of its own")
    parser.add_argument("--accelerator", default="cpu")
    arguments = parser.parse_args()
    arguments.changes = {} if arguments.width is None else {"width": arguments.width}
    made = [
        make_phantom("lung", tuple(arguments.size), seed, PhantomConfig(scale=SCALE, slices=SCALE))
        for seed in (31, 32, 33, 34)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        micro = [folder / f"micro-{number}.nii.gz" for number in (0, 1)]
        for case, path in zip(made, micro, strict=False):
            write(case.micro, path)
        of_all = [scan_of(made[2], kernel, 7) for kernel in arguments.kernels]
        one = trained(bank_of(folder, "all", of_all, micro, arguments), folder / "run-all", 0.0, arguments)
        print(
            "| kernel | bicubic, dB | one model: gain, dB | a model for it: gain, dB | lost of the gain |", flush=True
        )
        print("|---|---|---|---|---|", flush=True)
        for kernel, scan in zip(arguments.kernels, of_all, strict=True):
            bank = bank_of(folder, kernel, [scan], micro, arguments)
            own = trained(bank, folder / f"run-{kernel}", 1.0, arguments)
            shown = scan_of(made[3], kernel, 8)
            truth = truth_on_clinical_slices(made[3].truth, shown).array().astype(np.float64)
            plain = psnr(load_model("bicubic", SCALE).enhance(shown), truth)
            gains = [psnr(model.enhance(shown), truth) - plain for model in (one, own)]
            lost = f"{1 - gains[0] / gains[1]:.0%}" if gains[1] > 0 else ""
            print(f"| {kernel} | {plain:.2f} | {gains[0]:+.2f} | {gains[1]:+.2f} | {lost} |", flush=True)


if __name__ == "__main__":
    main()
