"""Cost of T passes with dropout as a ratio to one pass, with and without what precedes the dropout computed once.

python benchmarks/samples.py
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import numpy as np
import torch

from ctloupe import methods
from ctloupe.enhance.model import LoadedModel
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.preparation import prepared
from ctloupe.images.windows import CLINICAL
from ctloupe.volume.volume import Volume


def seconds(function):
    function()
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--preset", default="tiny")
    arguments = parser.parse_args()
    kind = methods.get("bayes-cyclegan")
    torch.manual_seed(0)
    config = kind.configure(arguments.preset)
    model = LoadedModel("bayes", kind.make_enhancer(config).eval(), config.scale, CLINICAL)
    hu = np.random.default_rng(0).normal(-750, 150, (arguments.size, arguments.size)).astype(np.float32)
    volume = Volume(hu[None], (1.0, 0.6, 0.6), units="HU")
    print(
        f"{arguments.size}×{arguments.size} ×{config.scale}, preset {arguments.preset}, "
        f"{torch.get_num_threads()} threads"
    )
    print("\n| passes | together | s | ratio to one pass |\n|---|---|---|---|")
    one = None
    for samples in (0, arguments.samples):
        enhancer = prepared(model, EnhanceOptions(samples=samples), volume, None)
        taken = seconds(partial(enhancer.enhance, hu, None, 0))
        one = one or taken
        print(f"| {samples or 1} | {enhancer.tiling.copies} | {taken:.2f} | {taken / one:.1f} |")


if __name__ == "__main__":
    main()
