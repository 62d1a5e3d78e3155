"""What it costs to mark every slice when it is written, and to look at all marks before `--resume` goes on.

python benchmarks/resume.py
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from ctloupe.enhance.resolver import load_model
from ctloupe.enhance.store.stores import Stores
from ctloupe.volume.volume import Volume


class Clock:
    """Seconds spent in a method of `Stores`, which it stands before."""

    def __init__(self, name):
        self.seconds, original = 0.0, getattr(Stores, name)

        def timed(*arguments):
            begun = time.perf_counter()
            try:
                return original(*arguments)
            finally:
                self.seconds += time.perf_counter() - begun

        setattr(Stores, name, timed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=6)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--scale", type=int, default=8)
    arguments = parser.parse_args()
    shape = arguments.slices, arguments.size, arguments.size
    values = np.random.default_rng(0).normal(-750, 150, shape).round().astype(np.int16)
    scan = Volume(values, (1.0, 0.6, 0.6), modality="clinical", units="HU")
    writing, marking = Clock("write"), Clock("marks")
    stores = []
    create = Stores.create
    Stores.create = classmethod(lambda kind, *given: stores.append(create(*given)) or stores[0])
    folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
    try:
        begun = time.perf_counter()

        def last(done):
            # The stores are whole, and not placed yet.
            if done == arguments.slices:
                for z in range(done):
                    stores[0].marks(z)

        load_model("bicubic", arguments.scale).enhance_to(scan, folder / "fine.ome.zarr", progress=last)
        whole = time.perf_counter() - begun - marking.seconds
    finally:
        shutil.rmtree(folder)
    print("| what | ms a slice | share of interpolating and writing it |\n|---|---|---|")
    for what, seconds in (
        ("interpolate and write", whole),
        ("write", writing.seconds),
        ("look at its mark", marking.seconds),
    ):
        print(f"| {what} | {1000 * seconds / arguments.slices:.1f} | {seconds / whole:.3f} |")


if __name__ == "__main__":
    main()
