"""What the choices of the tiny preset cost: seconds a training step, in one run, as ratios to the preset.

python benchmarks/tiny_preset.py
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import nullcontext

import torch

from ctloupe import methods
from ctloupe.methods.base import Batch
from ctloupe.methods.cost import gflop, without_storage

CHOICES = {
    "tiny": {},
    "tiny, G2 as in the paper (width 16)": {"shrinking": "paper", "shrinking_width": 16},
    "tiny, G2 as in the paper (width 64)": {"shrinking": "paper", "shrinking_width": 64, "shrinking_blocks": 9},
    "tiny, discriminators as in the paper": {"discriminator_width": 64, "discriminator_strides": 3},
    "tiny, batch 4": {"batch_size": 4},
}


class Backend:
    def __init__(self, method, half):
        self.trainables, self.optimisers, self.half = method.trainables(), method.optimisers(), half

    def autocast(self):
        return torch.autocast("cpu", torch.bfloat16) if self.half else nullcontext()

    def forward(self, trainable, *inputs):
        with self.autocast():
            found = self.trainables[trainable](*inputs)
        if isinstance(found, dict):
            return {name: image.float() for name, image in found.items()}
        return tuple(logits.float() for logits in found)

    def update(self, trainable, loss):
        self.optimisers[trainable].zero_grad()
        loss.backward()
        self.optimisers[trainable].step()


def seconds(kind, changes, half, repeats, patch_size):
    torch.manual_seed(0)
    if patch_size is not None:
        changes = changes | {"patch_size": patch_size}
    config = kind.configure("tiny", changes)
    method = kind(config).to(memory_format=torch.channels_last)
    backend = Backend(method, half)
    size = config.patch_size
    low = torch.rand(config.batch_size, 1, size, size) * 2 - 1
    high = torch.rand(config.batch_size, 1, size * config.scale, size * config.scale) * 2 - 1
    taken = []
    for _ in range(repeats + 2):
        begun = time.perf_counter()
        method.step(Batch(low, high), backend)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[2:]), gflop(without_storage(kind, config))["train_step"] * config.batch_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--only", nargs="+", choices=CHOICES, default=list(CHOICES), help="configurations to time")
    parser.add_argument("--patch-size", type=int, help="default: that of each configuration")
    arguments = parser.parse_args()
    kind = methods.get("sr-cyclegan")
    base = None
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    print("| configuration | precision | GFLOP a step | s a step | ratio to tiny in bf16 |")
    print("|---|---|---|---|---|")
    for name in arguments.only:
        for half in (True, False) if name == "tiny" else (True,):
            taken, work = seconds(kind, CHOICES[name], half, arguments.repeats, arguments.patch_size)
            base = base or taken
            precision = "bf16" if half else "float32"
            print(f"| {name} | {precision} | {work:.1f} | {taken:.3f} | {taken / base:.2f} |")


if __name__ == "__main__":
    main()
