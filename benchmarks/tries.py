"""What was tried to make enhancing faster, each against what it replaces, in one run.

python benchmarks/tries.py
"""

from __future__ import annotations

import argparse
import time

import torch
import torch.nn.functional as F

from ctloupe.enhance.network import fast_layers, fast_rewrite
from ctloupe.networks.blocks import ResidualBlock, SubPixelStep, convolution
from ctloupe.networks.tile import Tile

CL = torch.channels_last
SHRINK = 1
"""What the sides of the images are divided by, for a quick look."""


def best(function, repeats):
    function()
    shortest = float("inf")
    for _ in range(repeats):
        begun = time.perf_counter()
        function()
        shortest = min(shortest, time.perf_counter() - begun)
    return shortest


def features(channels, height, width, dtype=torch.bfloat16):
    random = torch.Generator().manual_seed(0)
    size = height // SHRINK, width // SHRINK
    return torch.randn(1, channels, *size, generator=random).to(dtype).contiguous(memory_format=CL)


def plain(layer):
    return layer.to(dtype=torch.bfloat16, memory_format=CL)


def without_norms(module):
    for name, child in module.named_children():
        if isinstance(child, torch.nn.InstanceNorm2d):
            setattr(module, name, torch.nn.Identity())
        else:
            without_norms(child)
    return module


def padding(repeats):
    reflecting = convolution(64, 64, 3, padding="reflect")
    x = features(64, 256, 512)
    fast = fast_layers.FastConvolution(reflecting, fast_layers.NO_ACTIVATION, torch.bfloat16)
    before = plain(reflecting)
    return "reflection padding of the frame only", best(lambda: before(x), repeats), best(lambda: fast(x), repeats)


def residual(repeats, in_place):
    x = features(64, 512, 512)
    block = without_norms(ResidualBlock(64)).eval()
    fast = fast_rewrite._residual(block, torch.bfloat16)
    fast.in_place = in_place
    before = plain(block)
    name = "residual block: activation in the convolution, strips in the cache, skip added " + (
        "in place" if in_place else "to a copy"
    )
    return name, best(lambda: before(x), repeats), best(lambda: fast(x), repeats)


def shuffle(repeats):
    x = features(128, 128, 256)
    before = best(lambda: F.pixel_shuffle(x, 2), repeats)
    return "pixel shuffle by runs of channels", before, best(lambda: fast_layers.interleaved(x), repeats)


def step(repeats):
    layer = without_norms(SubPixelStep(64)).eval()
    x = features(64, 128, 256)
    fast = fast_layers.FastSubPixel(layer, torch.bfloat16)
    before = plain(layer)
    return (
        "whole sub-pixel step, PReLU before the shuffle",
        best(lambda: before(x), repeats),
        best(lambda: fast(x), repeats),
    )


def last(repeats, dtype):
    layer = convolution(8, 1, 7, padding="reflect")
    x = features(32, 256, 256)
    fine = fast_layers.interleaved(x).float().contiguous(memory_format=CL)
    fast = fast_layers.FastLast(layer, dtype)
    fast.tile = Tile((8, 16), (8, 16), 64, 64)
    before = layer.to(memory_format=CL)
    name = "last 7×7 convolution before the last shuffle, " + (
        "float32" if dtype == torch.float32 else "three half-precision parts"
    )
    return name, best(lambda: before(fine), repeats), best(lambda: fast(x), repeats)


def first(repeats):
    layer = convolution(1, 64, 7, padding="reflect")
    x = features(1, 512, 512, torch.float32)
    fast = fast_layers.FastFirst(layer, fast_layers.NO_ACTIVATION, torch.bfloat16)
    before = layer.to(memory_format=CL)
    return (
        "first convolution, image split into two halves of its digits",
        best(lambda: before(x), repeats),
        best(lambda: fast(x), repeats),
    )


def half_float(repeats):
    layer = torch.nn.Conv2d(64, 64, 3, padding=1).to(memory_format=CL)
    x = features(64, 128, 512, torch.float32)
    single = best(lambda: layer(x), repeats)
    other = layer.half()
    return "float16 instead of float32 (dropped)", single, best(lambda: other(x.half()), repeats)


@torch.inference_mode()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--shrink", type=int, default=1, help="divide the sides of the images by")
    arguments = parser.parse_args()
    repeats = arguments.repeats
    global SHRINK
    SHRINK = arguments.shrink
    print(f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}; fused operations: {fast_layers._FUSED}")
    print("\n| try | before, ms | after, ms | times faster |\n|---|---|---|---|")
    for name, before, after in (
        padding(repeats),
        residual(repeats, False),
        residual(repeats, True),
        shuffle(repeats),
        step(repeats),
        last(repeats, torch.float32),
        last(repeats, torch.bfloat16),
        first(repeats),
        half_float(repeats),
    ):
        print(f"| {name} | {1e3 * before:.1f} | {1e3 * after:.1f} | {before / after:.2f} |")


if __name__ == "__main__":
    main()
