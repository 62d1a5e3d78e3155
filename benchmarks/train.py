"""A full SR-CycleGAN step (preset jmi2022, batch 4): written plainly in float32 against the trainer, in one run.

python benchmarks/train.py
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from functools import partial

import torch

from ctloupe import methods
from ctloupe.methods.base import Batch
from ctloupe.methods.cost import gflop, without_storage
from ctloupe.train.fabric import FabricBackend, make_fabric
from ctloupe.train.settings import TrainSettings

PATCHES_OF_AN_EPOCH = 2000


class Plain:
    """What one writes first: float32, contiguous, eager."""

    def __init__(self, method):
        self.trainables, self.optimisers = method.trainables(), method.optimisers()

    def autocast(self):
        import contextlib

        return contextlib.nullcontext()

    def forward(self, trainable, *inputs):
        return self.trainables[trainable](*inputs)

    def update(self, trainable, loss):
        self.optimisers[trainable].zero_grad()
        loss.backward()
        self.optimisers[trainable].step()


def waited(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def seconds(step, device, repeats):
    """Shortest step, after one to warm up."""
    step()
    shortest = float("inf")
    for _ in range(repeats):
        begun = waited(device)
        step()
        shortest = min(shortest, waited(device) - begun)
    return shortest


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="jmi2022")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--patch-size", type=int, help="default: that of the preset")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    kind = methods.get("sr-cyclegan")
    changes = {"batch_size": arguments.batch_size}
    if arguments.patch_size:
        changes["patch_size"] = arguments.patch_size
    config = kind.configure(arguments.preset, changes)
    settings = TrainSettings(
        method="sr-cyclegan", preset=arguments.preset, config=config.model_dump(mode="json"), bank="-", out="-", steps=1
    )
    fabric = make_fabric(settings)
    device = fabric.device
    random = torch.Generator().manual_seed(0)
    size = config.patch_size
    low = torch.rand(config.batch_size, 1, size, size, generator=random) * 2 - 1
    high = torch.rand(config.batch_size, 1, size * config.scale, size * config.scale, generator=random) * 2 - 1
    batch = Batch(low.to(device), high.to(device))
    work = gflop(without_storage(kind, config))["train_step"] * config.batch_size

    taken = {}
    for name in ("plain", "trainer"):
        torch.manual_seed(0)
        method = kind(config).to(device)
        backend = Plain(method) if name == "plain" else FabricBackend(fabric, method)
        taken[name] = seconds(partial(method.step, batch, backend), device, arguments.repeats)
    ratio = taken["plain"] / taken["trainer"]
    epoch = taken["trainer"] * PATCHES_OF_AN_EPOCH / config.batch_size
    report = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {device}, PyTorch {torch.__version__}",
        "preset": arguments.preset,
        "batch_size": config.batch_size,
        "gflop_per_step": work,
        "seconds_per_step": taken,
        "ratio_to_plain": ratio,
        "seconds_per_epoch_of_2000_patches": epoch,
    }
    if arguments.json:
        print(json.dumps(report, indent=2))
        return
    print(f"{arguments.preset}, batch {config.batch_size}, {work:.0f} GFLOP a step; {report['machine']}")
    print("\n| way | s a step | GFLOP/s | ratio |\n|---|---|---|---|")
    print(f"| plain float32 | {taken['plain']:.2f} | {work / taken['plain']:.0f} | 1.00 |")
    print(f"| trainer | {taken['trainer']:.2f} | {work / taken['trainer']:.0f} | {ratio:.2f} |")
    print(f"\nan epoch of 2,000 patches: {epoch:.0f} s (the paper: 353 s on a V100)")


if __name__ == "__main__":
    main()
