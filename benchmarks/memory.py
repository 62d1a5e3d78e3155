"""Peak memory of enhancing volumes of different length to OME-Zarr, each in a process of its own.

python benchmarks/memory.py --slices 20 200
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def one(slices, size, model):
    from ctloupe.enhance.model import LoadedModel
    from ctloupe.enhance.resolver import SuperResolver, load_model
    from ctloupe.volume.volume import LazyArray, Volume

    if model:
        resolver: SuperResolver = load_model(model)
    else:
        import torch

        from ctloupe import methods
        from ctloupe.images.windows import CLINICAL

        kind = methods.get("sr-cyclegan")
        torch.manual_seed(0)
        config = kind.configure("jmi2022")
        network = kind.make_enhancer(config).eval()
        resolver = SuperResolver(LoadedModel("jmi2022, untrained", network, config.scale, CLINICAL))

    def read(block):
        planes = [np.random.default_rng(z).normal(-750, 150, (size, size)) for z in range(slices)[block[0]]]
        return np.stack(planes).round().astype(np.int16)[:, block[1], block[2]]

    data = LazyArray((slices, size, size), np.int16, read, "made-up scan")
    volume = Volume(data, (1.0, 0.6, 0.6), modality="clinical", units="HU")
    folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
    try:
        begun = time.perf_counter()
        resolver.enhance_to(volume, folder / "fine.ome.zarr")
        seconds = time.perf_counter() - begun
    finally:
        shutil.rmtree(folder)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--model")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.slices[0], arguments.size, arguments.model)
        return
    first = None
    print("| slices | peak resident memory, GB | ratio | s | s a slice |\n|---|---|---|---|---|")
    for slices in arguments.slices:
        command = [sys.executable, __file__, "--one", "--slices", str(slices), "--size", str(arguments.size)]
        command += ["--model", arguments.model] if arguments.model else []
        peak, seconds = map(float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
        first = first or peak
        print(f"| {slices} | {peak / 1e9:.2f} | {peak / first:.2f} | {seconds:.0f} | {seconds / slices:.2f} |")


if __name__ == "__main__":
    main()
