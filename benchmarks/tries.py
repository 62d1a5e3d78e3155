"""What was tried to make enhancing faster, each against what it replaces, in one run.

python benchmarks/tries.py
"""

from __future__ import annotations

import argparse
import copy
import time

import machine
import torch
import torch.nn.functional as F

from ctloupe.enhance.network import fast_layers, fast_rewrite, fast_step, fine_part, fused, last_in_blocks
from ctloupe.networks.blocks import ResidualBlock, SubPixelStep, convolution
from ctloupe.networks.compiled import to_one_channel, winograd
from ctloupe.networks.plain import PlainBlock
from ctloupe.networks.precision import hardware_has_bf16
from ctloupe.networks.tile import Tile

CL = torch.channels_last
TYPE = torch.bfloat16 if hardware_has_bf16("cpu") else torch.float32
"""What enhancing computes in on this machine."""

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


def features(channels, height, width, dtype=TYPE):
    random = torch.Generator().manual_seed(0)
    size = height // SHRINK, width // SHRINK
    return torch.randn(1, channels, *size, generator=random).to(dtype).contiguous(memory_format=CL)


def plain(layer):
    return layer.to(dtype=TYPE, memory_format=CL)


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
    fast = fast_layers.FastConvolution(reflecting, fused.NO_ACTIVATION, TYPE)
    before = plain(reflecting)
    return "reflection padding of the frame only", best(lambda: before(x), repeats), best(lambda: fast(x), repeats)


def residual(repeats, in_place):
    x = features(64, 512, 512)
    block = without_norms(ResidualBlock(64)).eval()
    fast = fast_rewrite._residual(block, TYPE)
    fast.in_place = in_place
    before = plain(block)
    name = "residual block: activation in the convolution, skip added " + ("in place" if in_place else "to a copy")
    return name, best(lambda: before(x), repeats), best(lambda: fast(x), repeats)


def residual_strips(repeats, channels):
    """A residual block whose convolutions are compiled, whole against strips of rows, in float32."""
    name = f"compiled residual block of {channels} channels, in strips of rows against whole, float32"
    if not winograd.lanes_for(channels, channels):
        return f"{name} (not here)", float("nan"), float("nan")
    x = features(channels, 512, 512, torch.float32)
    fast = fast_rewrite._residual(PlainBlock(channels, 1.0).eval(), torch.float32)
    usual = fast_layers.COMPILED_STRIP_BYTES
    fast_layers.COMPILED_STRIP_BYTES = 1 << 40
    before = best(lambda: fast(x), repeats)
    fast_layers.COMPILED_STRIP_BYTES = usual
    return name, before, best(lambda: fast(x), repeats)


def shuffle(repeats):
    x = features(128, 128, 256)
    before = best(lambda: F.pixel_shuffle(x, 2), repeats)
    size = 2 * x.shape[2], 2 * x.shape[3], x.shape[1] // 4
    after = best(lambda: fast_step.shuffle_onto(x, x.new_empty(size)), repeats)
    return "pixel shuffle by runs of channels", before, after


def three_steps():
    return [without_norms(SubPixelStep(width)).eval() for width in (64, 32, 16)]


def fine(repeats, reach):
    """Steps and last convolution, plain and in strips of rows, of a tile with `reach` on either side."""
    steps, last = three_steps(), convolution(8, 1, 7, padding="reflect")
    x = features(64, 64 + 2 * reach, 128 + 2 * reach, TYPE)
    fast = fine_part.FineStrips(steps, last, TYPE)
    fast.tile = Tile((64, 128), (128, 256), 512, 512)
    before = plain(torch.nn.Sequential(*steps, last))
    name = "three sub-pixel steps and the last convolution, in strips of rows"
    return name, best(lambda: before(x), repeats), best(lambda: fast(x), repeats)


def strips(repeats):
    """The same with the whole tile as one strip, against strips that stay in the cache."""
    steps, last = three_steps(), convolution(8, 1, 7, padding="reflect")
    x = features(64, 70, 134, TYPE)
    fast = fine_part.FineStrips(steps, last, TYPE)
    fast.tile = Tile((64, 128), (128, 256), 512, 512)
    usual = fine_part.STRIP_BYTES
    fine_part.STRIP_BYTES = 1 << 40
    before = best(lambda: fast(x), repeats)
    fine_part.STRIP_BYTES = usual
    return "of these, the strips alone", before, best(lambda: fast(x), repeats)


def last_at_once(repeats):
    """The last convolution for 2×2 pixels at once, as four outputs, against 4×4 as sixteen."""
    x = features(32, 256, 512, TYPE)
    four = kernel(4, 32, 5, 5)
    sixteen = kernel(16, 64, 6, 3)
    pairs = x.permute(0, 2, 3, 1).reshape(1, x.shape[2], x.shape[3] // 2, 64).permute(0, 3, 1, 2)
    before = best(lambda: fused.convolve(x, four, None, (2, 2)), repeats)
    after = best(lambda: fused.convolve(pairs, sixteen, None, (2, 1), stride=(2, 1)), repeats)
    return "last convolution on the grid before, 4×4 pixels at once instead of 2×2", before, after


def compiled_last(repeats):
    """The last convolution compiled from C, on the fine grid, against 4×4 pixels at once by oneDNN, in float32."""
    name = "last convolution compiled from C, on its own grid, against 4×4 pixels at once, float32"
    last = convolution(8, 1, 7, padding="reflect")
    own = to_one_channel.kernel_of(last.weight, last.bias)
    if own is None:
        return f"{name} (not here)", float("nan"), float("nan")
    packed = last_in_blocks.BlockKernel(last, torch.float32)
    units = features(64, 262, 258, torch.float32)
    before = best(lambda: packed(units), repeats)
    height, width = (last_in_blocks.BLOCK * size for size in packed(units).shape[2:])
    fine = to_one_channel.features_for(own, height + 6, width + 6).fill_(0.5)
    image = torch.empty(height, width)
    return name, before, best(lambda: to_one_channel.convolve(fine, own, image), repeats)


def step_on_its_own_grid(repeats):
    """A step's convolution on pairs of columns, which fill more of a register, against as it is (dropped)."""
    x = features(16, 256, 512, TYPE)
    pairs = x.permute(0, 2, 3, 1).reshape(1, x.shape[2], x.shape[3] // 2, 32).permute(0, 3, 1, 2)
    own, wider = kernel(32, 16, 3, 3), kernel(64, 32, 3, 3)
    before = best(lambda: fused.convolve(x, own, None, (1, 1)), repeats)
    after = best(lambda: fused.convolve(pairs, wider, None, (1, 1)), repeats)
    return "step of 16 channels as one of pairs of columns, block-structured (dropped)", before, after


def kernel(out, channels, *size):
    random = torch.Generator().manual_seed(0)
    return fast_layers.channels_last(torch.randn(out, channels, *size, generator=random), TYPE)


def first_stored(repeats):
    """The first convolution with strides that do not tell that its one channel is the last (what PyTorch gives)."""
    x, weight = features(1, 512, 512, torch.float32), torch.randn(64, 1, 7, 7)
    told = fast_layers.channels_last(weight, torch.float32)
    before = best(lambda: fused.convolve(x, weight, None, (3, 3)).contiguous(memory_format=CL), repeats)
    after = best(lambda: fused.convolve(x, told, None, (3, 3)).contiguous(memory_format=CL), repeats)
    return "first convolution, whose kernel tells that channels are last, float32", before, after


def nnpack(repeats, channels):
    """NNPACK's Winograd convolution, channels first, against oneDNN's direct one, channels last, float32 (dropped)."""
    if not torch.backends.nnpack.is_available():
        return f"Winograd by NNPACK, {channels} channels (dropped; not in this build)", float("nan"), float("nan")
    x, weight = features(channels, 128, 512, torch.float32), torch.randn(channels, channels, 3, 3) / 24
    told, first = fast_layers.channels_last(weight, torch.float32), x.contiguous()
    before = best(lambda: fused.convolve(x, told, None, (1, 1)), repeats)
    after = best(lambda: torch._nnpack_spatial_convolution(first, weight, None, (1, 1), (1, 1)), repeats)
    return f"Winograd by NNPACK, {channels} channels, float32 (dropped)", before, after


def compiled_winograd(repeats, inputs, outputs, dtype):
    """Our own Winograd convolution in float32 against oneDNN's direct one in `dtype`."""
    name = f"Winograd compiled from C, {inputs} to {outputs} channels, against direct in {str(dtype)[6:]}"
    lanes = winograd.lanes_for(inputs, outputs)
    if not lanes:
        return f"{name} (not here)", float("nan"), float("nan")
    x, weight = features(inputs, 128, 512, dtype), torch.randn(outputs, inputs, 3, 3) / 24
    told, single = fast_layers.channels_last(weight, dtype), x.float()
    own = winograd.transformed(weight, lanes)
    before = best(lambda: fused.convolve(x, told, None, (1, 1)), repeats)
    return name, before, best(lambda: winograd.convolve(single, own, None, winograd.Padding.around(1)), repeats)


def winograd_gradient(repeats, channels, side):
    """Gradient of the weights by the same, against PyTorch's, in float32."""
    name = f"gradient of its weights, {channels} channels of {side}×{side}, batch 4, against PyTorch's"
    lanes, side = winograd.lanes_for(channels, channels), side // SHRINK
    if not lanes:
        return f"{name} (not here)", float("nan"), float("nan")
    x, gradient = (torch.randn(4, channels, side, side).contiguous(memory_format=CL) for _ in range(2))
    weight = fast_layers.channels_last(torch.randn(channels, channels, 3, 3), torch.float32)
    sizes, around = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1), winograd.Padding.around(1)
    before = best(
        lambda: torch.ops.aten.convolution_backward(gradient, x, weight, None, *sizes, [False, True, False]), repeats
    )
    after = best(lambda: winograd.weight_gradient(winograd.products(x, gradient, 3, around, lanes), 3), repeats)
    return name, before, after


def compiled(repeats):
    """Inductor's code for the plain steps and last convolution, its own compile time not counted (dropped)."""
    steps, last = three_steps(), convolution(8, 1, 7, padding="reflect")
    x = features(64, 70, 134, TYPE)
    before = plain(torch.nn.Sequential(*steps, last))
    fast = fine_part.FineStrips(steps, copy.deepcopy(last).float(), TYPE)
    begun = time.perf_counter()
    try:
        after = torch.compile(before)
        after(x)
    except Exception as error:  # Where there is no compiler it fails in ways of its own.
        name = f"torch.compile of the same against the strips (dropped; {type(error).__name__} here)"
        return name, best(lambda: fast(x), repeats), float("nan")
    name = f"torch.compile of the same against the strips, compiled in {time.perf_counter() - begun:.0f} s (dropped)"
    return name, best(lambda: fast(x), repeats), best(lambda: after(x), repeats)


def first(repeats):
    layer = convolution(1, 64, 7, padding="reflect")
    x = features(1, 512, 512, torch.float32)
    fast = fast_layers.FastFirst(layer, fused.NO_ACTIVATION, torch.bfloat16)
    before = layer.to(memory_format=CL)
    return (
        "first convolution, image split into two halves of its digits (bf16)",
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
    parser.add_argument("--no-compile", action="store_true", help="leave out what takes half a minute to compile")
    arguments = parser.parse_args()
    repeats = arguments.repeats
    global SHRINK
    SHRINK = arguments.shrink
    print(f"{machine.in_words()}, features in {str(TYPE).removeprefix('torch.')}")
    print(f"oneDNN's fused operations: {', '.join(sorted(str(one) for one in fused.FORMATS)) or 'none'}")
    print("\n| try | before, ms | after, ms | times faster |\n|---|---|---|---|")
    for name, before, after in (
        padding(repeats),
        residual(repeats, False),
        residual(repeats, True),
        residual_strips(repeats, 64),
        residual_strips(repeats, 96),
        shuffle(repeats),
        fine(repeats, 3),
        strips(repeats),
        last_at_once(repeats),
        compiled_last(repeats),
        step_on_its_own_grid(repeats),
        first_stored(repeats),
        nnpack(repeats, 64),
        nnpack(repeats, 96),
        *(compiled_winograd(repeats, *widths, torch.float32) for widths in ((64, 64), (96, 96), (32, 64), (16, 32))),
        *([compiled_winograd(repeats, 64, 64, TYPE)] if torch.float32 != TYPE else []),
        winograd_gradient(repeats, 96, 32),
        winograd_gradient(repeats, 256, 64),
        *([] if arguments.no_compile else [compiled(repeats)]),
        *([first(repeats)] if torch.bfloat16 == TYPE else []),
        half_float(repeats),
    ):
        print(f"| {name} | {1e3 * before:.1f} | {1e3 * after:.1f} | {before / after:.2f} |")


if __name__ == "__main__":
    main()
