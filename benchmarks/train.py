"""A full training step of SR-CycleGAN and of Physics-Flow: written plainly in float32 against the trainer.

python benchmarks/train.py
"""

from __future__ import annotations

import argparse
import contextlib
import copy
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


def layers(step, method, device, repeats):
    """Convolutions of a step: how each is computed, how often, and its seconds forwards and backwards by itself."""
    counts, modules = defaultdict(int), {}

    def seen(layer, inputs, _):
        image = inputs[0]
        asked = image.requires_grad, layer.weight.requires_grad
        key = type(layer).__name__, tuple(layer.weight.shape), layer.stride[0], tuple(image.shape), asked
        counts[key] += 1
        modules[key] = layer

    convolutions = [one for one in method.modules() if isinstance(one, torch.nn.Conv2d | torch.nn.ConvTranspose2d)]
    hooks = [one.register_forward_hook(seen) for one in convolutions]
    step()
    for hook in hooks:
        hook.remove()
    rows = [(*key, count, *alone(modules[key], key[3], key[4], device, repeats)) for key, count in counts.items()]
    return sorted(rows, key=lambda row: -row[5] * (row[6] + row[7]))


def alone(layer, shape, asked, device, repeats):
    """Seconds of a layer forwards, and backwards by what is asked for: its image, its weights."""
    layer = copy.deepcopy(layer).requires_grad_(asked[1])
    image = torch.randn(shape, device=device).contiguous(memory_format=torch.channels_last).requires_grad_(asked[0])
    made = layer(image)
    forward = seconds(lambda: layer(image), device, repeats)
    if not any(asked):
        return forward, 0.0
    wanted = [image] * asked[0] + list(layer.parameters()) * asked[1]
    given = torch.randn_like(made)
    return forward, seconds(lambda: torch.autograd.grad(made, wanted, given, retain_graph=True), device, repeats)


def peak(device, repeats):
    """Products of large matrices, in GFLOP/s: what arithmetic can do here at best."""
    one = torch.randn(2048, 2048, device=device)
    return 2 * 2048**3 / 1e9 / seconds(lambda: one @ one, device, 3 * repeats)


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
        rows = layers(step, method, device, arguments.repeats) if arguments.layers and way == "trainer" else []
    return {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {device}, PyTorch {torch.__version__}",
        "preset": arguments.preset or preset,
        "batch_size": config.batch_size,
        "gflop_per_step": gflop(without_storage(kind, config))["train_step"] * config.batch_size,
        "seconds": taken,
        "shares": found,
        "layers": rows,
        "peak": peak(device, arguments.repeats),
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
        "peak_gflop_per_s": {way: of["peak"] for way, of in found.items()},
        "layers": one["layers"],
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
    print_layers(report)
    of = report["shares_of_a_step"]
    if not of["plain"]:
        return
    print("| kind of work | plain, s | share | trainer, s | share |\n|---|---|---|---|---|")
    for kind in sorted(of["plain"] | of["trainer"], key=lambda kind: -of["plain"].get(kind, 0)):
        cells = [f"{of[way].get(kind, 0) * taken[way]:.3f} | {of[way].get(kind, 0):.0%}" for way in of]
        print(f"| {kind} | {' | '.join(cells)} |")
    print()


def print_layers(report):
    if not report["layers"]:
        return
    print("| computed by | weights | stride | image | times | forwards, ms | backwards, ms | share of a step |")
    print("|---|---|---|---|---|---|---|---|")
    whole, sums = report["seconds_per_step"]["trainer"], [0.0, 0.0]
    for kind, weights, stride, image, _, times, forward, backward in report["layers"]:
        sums = [sums[0] + times * forward, sums[1] + times * backward]
        sizes = " | ".join(["×".join(map(str, weights)), str(stride), "×".join(map(str, image))])
        share = times * (forward + backward) / whole
        print(f"| {kind} | {sizes} | {times} | {1e3 * forward:.1f} | {1e3 * backward:.1f} | {share:.1%} |")
    best = report["peak_gflop_per_s"]["trainer"]
    print(
        f"\nconvolutions alone: {sums[0]:.2f} s forwards, {sums[1]:.2f} s backwards, of {whole:.2f} s; matrix products"
    )
    print(f"reach {best:.0f} GFLOP/s, which is {report['gflop_per_step'] / best:.2f} s for direct convolution\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", nargs="+", choices=PRESETS, default=list(PRESETS))
    parser.add_argument("--preset", help="default: jmi2022 of sr-cyclegan, tiny of physics-flow")
    parser.add_argument("--batch-size", type=int, help="default: 4")
    parser.add_argument("--patch-size", type=int, help="default: that of the preset")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--profile", action="store_true", help="print where the time of a step goes")
    parser.add_argument("--layers", action="store_true", help="print how each convolution is computed, and its time")
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
