"""A full training step of SR-CycleGAN and of Physics-Flow: written plainly in float32 against the trainer.

python benchmarks/train.py
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import re
import subprocess
import sys
import time
from collections import defaultdict
from functools import partial

import torch

from ctloupe import methods
from ctloupe.foundation.kept_memory import kept_memory
from ctloupe.methods.base import Batch
from ctloupe.methods.cost import gflop, without_storage
from ctloupe.train.fabric import FabricBackend, make_fabric
from ctloupe.train.settings import TrainSettings

PATCHES_OF_AN_EPOCH = 2000
PRESETS = {"sr-cyclegan": ("jmi2022", 4), "physics-flow": ("tiny", 4)}
KINDS = (
    ("convolution, backward", r"(Convolution|_Transposed|_Smaller|_Larger)Backward|^aten::convolution_backward$"),
    (
        "convolution, forward",
        r"^aten::(mkldnn_convolution|_convolution|conv.*)$|^(_Convolution|_Transposed|_Smaller|_Larger)$",
    ),
    ("normalisation", r"norm(_backward)?$|_NormActivation|_ImageByImage"),
    ("activation", r"relu|_PReLU|threshold|clamp_min|tanh|softplus|sigmoid|silu"),
    ("padding", r"pad"),
    ("shuffles and enlargement", r"shuffle|upsample|bicubic"),
    ("optimiser", r"^Optimizer|addcdiv|addcmul|_fused_adam|_foreach|sqrt$"),
    ("copies", r"copy_|clone|contiguous|fill_|zero_|cat$|stack$"),
)
"""Kinds of work by the names of operations; the first that fits."""

WHOLES = "_Conv|_Transposed|_Smaller|_Larger|_Norm|_ImageByImage|_PReLU|Optimizer"
"""Beginnings of the names of layers and optimisers, to which all belongs that they are made of."""


class Plain:
    """What one writes first: float32, contiguous, eager."""

    def __init__(self, method):
        self.trainables, self.optimisers = method.trainables(), method.optimisers()

    def autocast(self):
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


def shares(step):
    """Share of a step by kind of work, from PyTorch's profiler; what a convolution is made of belongs to it."""
    with torch.profiler.profile() as profile:
        step()
    taken = defaultdict(float)
    for event in profile.events():
        taken[kind_of(event)] += event.self_cpu_time_total
    whole = sum(taken.values())
    return {kind: one / whole for kind, one in sorted(taken.items(), key=lambda pair: -pair[1])}


def kind_of(event):
    """Kind of an operation: of the layer or optimiser that it is a part of, or else its own or its callers'."""
    names = []
    while event is not None:
        names.append(event.name)
        event = event.cpu_parent
    wholes = [
        name
        for name in names
        if re.match("_Conv|_Transposed|_Smaller|_Larger|_Norm|_ImageByImage|_PReLU|Optimizer", name)
    ]
    for name in wholes + names:
        for kind, pattern in KINDS:
            if re.search(pattern, name):
                return kind
    return "other"


def measured(way, name, arguments):
    """One way in a process of its own, since what the allocator keeps of one is not to help or harm the other."""
    kind = methods.get(name)
    preset, batch_size = PRESETS[name]
    changes = {"batch_size": arguments.batch_size or batch_size}
    if arguments.patch_size:
        changes["patch_size"] = arguments.patch_size
    config = kind.configure(arguments.preset or preset, changes)
    settings = TrainSettings(
        method=name, preset=preset, config=config.model_dump(mode="json"), bank="-", out="-", steps=1
    )
    fabric = make_fabric(settings)
    device = fabric.device
    random = torch.Generator().manual_seed(0)
    size = config.patch_size
    low = torch.rand(config.batch_size, 1, size, size, generator=random) * 2 - 1
    high = torch.rand(config.batch_size, 1, size * config.scale, size * config.scale, generator=random) * 2 - 1
    thick = high.to(device) if kind.reads_slice_average else None
    batch = Batch(low.to(device), high.to(device), micro_slice_average=thick)
    torch.manual_seed(0)
    method = kind(config).to(device)
    backend = Plain(method) if way == "plain" else FabricBackend(fabric, method)
    step = partial(method.step, batch, backend)
    with kept_memory() if way == "trainer" else contextlib.nullcontext():
        taken = seconds(step, device, arguments.repeats)
        found = shares(step) if arguments.profile else {}
    return {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {device}, PyTorch {torch.__version__}",
        "preset": arguments.preset or preset,
        "batch_size": config.batch_size,
        "gflop_per_step": gflop(without_storage(kind, config))["train_step"] * config.batch_size,
        "seconds": taken,
        "shares": found,
    }


def report_of(name, arguments):
    found = {}
    for way in ("plain", "trainer"):
        same = [*sys.argv[1:], "--method", name, "--way", way]
        done = subprocess.run([sys.executable, __file__, *same], check=True, stdout=subprocess.PIPE, text=True)
        found[way] = json.loads(done.stdout)
    one = found["trainer"]
    taken = {way: of["seconds"] for way, of in found.items()}
    return {
        "method": name,
        **{key: one[key] for key in ("machine", "preset", "batch_size", "gflop_per_step")},
        "seconds_per_step": taken,
        "ratio_to_plain": taken["plain"] / taken["trainer"],
        "seconds_per_epoch_of_2000_patches": taken["trainer"] * PATCHES_OF_AN_EPOCH / one["batch_size"],
        "shares_of_a_step": {way: of["shares"] for way, of in found.items()},
    }


def printed(report):
    work, taken = report["gflop_per_step"], report["seconds_per_step"]
    head = f"{report['method']} {report['preset']}, batch {report['batch_size']}, {work:.0f} GFLOP a step"
    print(f"{head}; {report['machine']}")
    print("\n| way | s a step | GFLOP/s | ratio |\n|---|---|---|---|")
    print(f"| plain float32 | {taken['plain']:.2f} | {work / taken['plain']:.0f} | 1.00 |")
    print(f"| trainer | {taken['trainer']:.2f} | {work / taken['trainer']:.0f} | {report['ratio_to_plain']:.2f} |")
    epoch = f"\nan epoch of 2,000 patches: {report['seconds_per_epoch_of_2000_patches']:.0f} s"
    print(epoch + (" (the paper: 353 s on a V100)\n" if report["preset"] == "jmi2022" else "\n"))
    of = report["shares_of_a_step"]
    if not of["plain"]:
        return
    print("| kind of work | plain, s | share | trainer, s | share |\n|---|---|---|---|---|")
    for kind in sorted(of["plain"] | of["trainer"], key=lambda kind: -of["plain"].get(kind, 0)):
        cells = [f"{of[way].get(kind, 0) * taken[way]:.3f} | {of[way].get(kind, 0):.0%}" for way in of]
        print(f"| {kind} | {' | '.join(cells)} |")
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", nargs="+", choices=PRESETS, default=list(PRESETS))
    parser.add_argument("--preset", help="default: jmi2022 of sr-cyclegan, tiny of physics-flow")
    parser.add_argument("--batch-size", type=int, help="default: 4")
    parser.add_argument("--patch-size", type=int, help="default: that of the preset")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--profile", action="store_true", help="print where the time of a step goes")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--way", choices=("plain", "trainer"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        print(json.dumps(measured(arguments.way, arguments.method[0], arguments)))
        return
    reports = []
    for name in arguments.method:
        reports.append(report_of(name, arguments))
        if not arguments.json:
            printed(reports[-1])
    if arguments.json:
        print(json.dumps({"machine": reports[0]["machine"], "methods": reports}, indent=2))


if __name__ == "__main__":
    main()
