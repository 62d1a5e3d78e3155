"""Time a slice of every method, as a ratio to Physics-SRGAN, and what samples of a flow cost, in one run.

python benchmarks/methods.py
"""

from __future__ import annotations

import argparse
import statistics
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

REFERENCE = "physics-srgan"


def model_of(name, preset, **changes):
    kind = methods.get(name)
    config = kind.configure(preset if kind.trainable else None, changes)
    torch.manual_seed(0)
    return LoadedModel(name, kind.make_enhancer(config).eval(), config.scale, CLINICAL)


def ways(names, preset, samples):
    for name in names:
        model = model_of(name, preset)
        yield name, model, EnhanceOptions()
        if name == "physics-flow":
            one, several = {"output": "sample", "flat_field": "off"}, {"samples": samples, "flat_field": "off"}
            yield f"{name}, a sample", model, EnhanceOptions(**one)
            yield f"{name}, {samples} samples", model, EnhanceOptions(**several)
            stepping = model_of(name, preset, texture=False, mean_fraction=0.5)
            yield f"{name} without texture, a sample in 4 steps", stepping, EnhanceOptions(steps=4, **one)
            yield f"{name} without texture, {samples} samples of 4 steps", stepping, EnhanceOptions(steps=4, **several)


def once(function):
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="side of the slice in scan voxels")
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=[], help="methods beside the reference")
    arguments = parser.parse_args()
    names = [name for name in methods.names() if not arguments.only or name in (*arguments.only, REFERENCE)]
    hu = np.random.default_rng(0).normal(-750, 150, (arguments.size, arguments.size)).astype(np.float32)
    volume = Volume(hu[None], (1.0, 0.6, 0.6), units="HU")
    runs, tiles = {}, {}
    for row, model, options in ways(names, arguments.preset, arguments.samples):
        enhancer = prepared(model, options, volume, None)
        runs[row], tiles[row] = partial(enhancer.enhance, hu, None, 0), getattr(enhancer, "tiling", None)
        runs[row]()
    # One after the other in turns, so that a machine whose speed drifts is slow for all of them.
    taken = {row: [] for row in runs}
    for _ in range(arguments.repeats):
        for row, run in runs.items():
            taken[row].append(once(run))
    found = {row: statistics.median(seconds) for row, seconds in taken.items()}
    size, threads = arguments.size, torch.get_num_threads()
    print(f"one slice of {size}×{size}, preset {arguments.preset}, {threads} threads")
    print(f"\n| method | s a slice | ratio to {REFERENCE} | at once |\n|---|---|---|---|")
    for row, seconds in found.items():
        copies = "" if tiles[row] is None else tiles[row].copies
        print(f"| {row} | {seconds:.3f} | {seconds / found[REFERENCE]:.2f} | {copies} |")


if __name__ == "__main__":
    main()
