"""One body, two reconstruction kernels: how far apart are the answers of a model, and of bicubic interpolation?

python benchmarks/kernel_pair.py --model runs/first/model
"""

from __future__ import annotations

import argparse

import numpy as np

from ctloupe.enhance.resolver import load_model
from ctloupe.phantom.clinical_slices import truth_on_clinical_slices
from ctloupe.phantom.config import PhantomConfig
from ctloupe.phantom.phantom import make_phantom


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", action="append", required=True, help="folder of a package; any number")
    parser.add_argument("--kind", default="lung")
    parser.add_argument("--size", type=int, nargs=3, default=[32, 384, 384])
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("--noise", type=float, nargs=2, default=[5.0, 30.0], help="HU with the smooth and sharp kernel")
    arguments = parser.parse_args()
    models = {name: load_model(name) for name in arguments.model}
    scale = next(iter(models.values())).scale
    pair = []
    for kernel, noise in zip(("smooth", "sharp"), arguments.noise, strict=True):
        pair.append(
            make_phantom(
                arguments.kind,
                tuple(arguments.size),
                arguments.seed,
                PhantomConfig(scale=scale, slices=scale, kernel=kernel, noise_hu=noise),
            )
        )
    truth = truth_on_clinical_slices(pair[0].truth, pair[0].clinical).array().astype(np.float64)
    print("| model | difference RMS, HU | contrast, HU | correlation | error RMS smooth, sharp, HU |")
    print("|---|---|---|---|---|")
    for name, resolver in {"bicubic": load_model("bicubic", scale), **models}.items():
        one, other = (resolver.enhance(case.clinical).array().astype(np.float64) for case in pair)
        difference, contrast = np.sqrt(np.mean((one - other) ** 2)), (one.std() + other.std()) / 2
        alike = np.corrcoef(one.ravel(), other.ravel())[0, 1]
        errors = ", ".join(f"{np.sqrt(np.mean((image - truth) ** 2)):.0f}" for image in (one, other))
        print(f"| {name} | {difference:.0f} | {contrast:.0f} | {alike:.3f} | {errors} |")


if __name__ == "__main__":
    main()
