"""How fast one slice is enhanced: the papers' way, plain PyTorch, ctloupe's way, and OpenVINO where it is installed.

python benchmarks/enhance.py
python benchmarks/enhance.py --method physics-flow
python benchmarks/enhance.py --model runs/first/model --json
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from dataclasses import replace
from functools import partial

import machine
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from ctloupe import methods
from ctloupe.enhance.exact import ExactSliceEnhancer
from ctloupe.enhance.model import LoadedModel, loaded_model
from ctloupe.enhance.options import EnhanceOptions
from ctloupe.enhance.patchwise import PatchwiseSliceEnhancer
from ctloupe.enhance.preparation import calibrated_network
from ctloupe.enhance.tiling import Tiling, choose_tiling
from ctloupe.foundation.kept_memory import kept_memory
from ctloupe.images.windows import CLINICAL
from ctloupe.networks.flow.enhancer import FlowEnhancer
from ctloupe.networks.flow.mean import MeanNetwork
from ctloupe.networks.precision import hardware_has_bf16


def best(function, repeats):
    """Shortest of some runs, after one to warm up, and its result."""
    result, shortest = function(), float("inf")
    for _ in range(repeats):
        begun = time.perf_counter()
        result = function()
        shortest = min(shortest, time.perf_counter() - begun)
    return shortest, result


def trunk_within(enhancer, slice_of, repeats):
    """Seconds of the shortest of some slices, and of its trunk: by itself the trunk would find the caches otherwise."""
    network, taken = enhancer.network, []
    coarse = network.coarse

    def timed(*inputs):
        begun = time.perf_counter()
        found = coarse(*inputs)
        taken.append(time.perf_counter() - begun)
        return found

    network.coarse = timed
    runs = []
    for _ in range(repeats):
        begun = time.perf_counter()
        slice_of()
        runs.append((time.perf_counter() - begun, taken[-1]))
    network.coarse = coarse
    return min(runs)


def peak(dtype, repeats, sizes):
    """GFLOP/s of a convolution that suits the machine: the best of several sizes."""
    found = 0.0
    for channels, side in sizes:
        layer = torch.nn.Conv2d(channels, channels, 3, padding=1).to(dtype).to(memory_format=torch.channels_last)
        image = torch.randn(1, channels, side, side).to(dtype).contiguous(memory_format=torch.channels_last)
        spent, _ = best(partial(layer, image), 4 * repeats)
        found = max(found, 2 * 9 * channels**2 * side**2 / spent / 1e9)
    return found


def gflop(function, *inputs):
    with FlopCounterMode(display=False) as counter:
        function(*inputs)
    return counter.get_total_flops() / 1e9


def scene(size):
    """A slice of about the smoothness of chest CT."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, 1, size // 8, size // 8, generator=random)
    smooth = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic")
    return (-750 + 150 * smooth + 40 * torch.randn(1, 1, size, size, generator=random))[0, 0].numpy()


def of_the_mean(model):
    """A flow as a network of convolutions alone, with the scanner that it has; any other model as it is."""
    if not isinstance(model.network, FlowEnhancer):
        return model
    return replace(model, network=MeanNetwork(model.network.float()).requires_grad_(False))


def model_of(arguments):
    if arguments.model:
        return of_the_mean(loaded_model(arguments.model))
    kind = methods.get(arguments.method)
    preset = arguments.preset or next(iter(kind.presets))
    torch.manual_seed(0)
    changes = {"scale": arguments.scale} | ({"width": arguments.width} if arguments.width else {})
    config = kind.configure(preset, changes)
    network = kind.make_enhancer(config).eval().requires_grad_(False)
    name = f"{arguments.method} {preset}, untrained"
    return of_the_mean(LoadedModel(name, network, config.scale, CLINICAL))


def through_openvino(network, unit, window, repeats):
    import openvino

    converted = openvino.convert_model(network, example_input=unit, input=[list(unit.shape)])
    dtype = "bf16" if hardware_has_bf16("cpu") else "f32"
    hints = {"INFERENCE_PRECISION_HINT": dtype, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(converted, "CPU", hints)
    numbers = unit.numpy()

    def run():
        found = torch.from_numpy(compiled(numbers)[0])
        return window.from_unit(found)[0, 0].round().to(torch.int16).numpy()

    return best(run, repeats)


@torch.inference_mode()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="folder of a model package; default: an untrained network")
    parser.add_argument("--method", default="sr-cyclegan", help="of the untrained network; of a flow its mean is made")
    parser.add_argument("--preset", help="of the untrained network; default: the method's first")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--scale", type=int, default=8)
    parser.add_argument("--width", type=int, help="of the untrained network; default: that of the preset")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--convolutions", type=int, default=5, help="sizes by which the machine's peak is found")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    model = model_of(arguments)
    hu = scene(arguments.size)
    from ctloupe.volume.volume import Volume

    volume = Volume(hu[None].astype(np.float32), (1.0, 0.6, 0.6), units="HU")
    network = calibrated_network(model, EnhanceOptions(), volume, None)
    fixed = replace(model, network=network)
    window, scale, spacing = model.window, model.scale, (0.6, 0.6)
    unit = window.to_unit(torch.from_numpy(hu)[None, None])
    work = gflop(network, unit)

    def row(seconds, values=None):
        found = {"seconds_per_slice": seconds, "gflop_per_second": work / seconds}
        return found | ({} if values is None else {"values": values})

    rows = {}
    patches = PatchwiseSliceEnhancer(model, EnhanceOptions(stitch="patches"), spacing)
    rows["patches"] = row(best(lambda: patches.enhance(hu, None, 0), 1)[0])
    whole = PatchwiseSliceEnhancer(fixed, EnhanceOptions(stitch="slice"), spacing)
    seconds, made = best(lambda: whole.enhance(hu, None, 0), 1)
    rows["whole float32"] = row(seconds)
    truth = made.values.astype(np.float64)
    exact = ExactSliceEnhancer(fixed, EnhanceOptions(precision="float32"), spacing, Tiling(tile=(64, 64)))
    # The command keeps the memory that layers give back; patches and their features are too small to need it.
    with kept_memory():
        seconds, made = best(lambda: exact.enhance(hu, None, 0), arguments.repeats)
    rows["ctloupe float32"] = row(seconds, made.values)
    options = EnhanceOptions()
    dtype = options.dtype(torch.device("cpu"))
    enhancer = ExactSliceEnhancer(fixed, options, spacing, choose_tiling(network, scale, volume.shape, dtype, options))
    with kept_memory():
        seconds, made = best(lambda: enhancer.enhance(hu, None, 0), arguments.repeats)
    rows["ctloupe"] = row(seconds, made.values)
    with contextlib.suppress(ImportError):
        rows["openvino"] = row(*through_openvino(network, unit, window, arguments.repeats))
    sizes = machine.PEAK_CONVOLUTIONS[: arguments.convolutions]
    top = {"float32": peak(torch.float32, arguments.repeats, sizes)}
    if hardware_has_bf16("cpu"):
        top["bf16"] = peak(torch.bfloat16, arguments.repeats, sizes)
    ceiling = top.get("bf16" if dtype == torch.bfloat16 else "float32", top["float32"])
    for name, one in rows.items():
        one["ratio_to_patches"] = rows["patches"]["seconds_per_slice"] / one["seconds_per_slice"]
        one["ratio_to_plain"] = rows["whole float32"]["seconds_per_slice"] / one["seconds_per_slice"]
        one["share_of_peak"] = one["gflop_per_second"] / (
            ceiling if name in ("ctloupe", "openvino") else top["float32"]
        )
        values = one.pop("values", None)
        if values is not None:
            one["hu_rms_to_float32"] = float(np.sqrt(np.mean((values - truth) ** 2)))
    tiled = enhancer.network
    if tiled.is_split:
        with kept_memory():
            whole_slice, seconds = trunk_within(enhancer, lambda: enhancer.enhance(hu, None, 0), arguments.repeats)
        work_of_trunk = gflop(network.coarse_features, unit)
        rows["ctloupe"]["trunk_seconds"] = seconds
        rows["ctloupe"]["trunk_share_of_peak"] = work_of_trunk / seconds / ceiling
        rows["ctloupe"]["fine_share_of_slice"] = 1 - seconds / whole_slice
        rows["ctloupe"]["fine_share_of_work"] = 1 - work_of_trunk / work
    report = {
        "machine": machine.machine(),
        "model": model.name,
        "slice": f"{arguments.size}×{arguments.size} ×{scale}",
        "gflop": work,
        "peak_gflop_per_second": top,
        "tile": list(enhancer.tiling.tile),
        **rows,
    }
    print(json.dumps(report, indent=2) if arguments.json else as_text(report, rows))


def as_text(report, rows):
    peaks = " and ".join(f"{value:.0f} GFLOP/s in {name}" for name, value in report["peak_gflop_per_second"].items())
    lines = [
        f"{report['model']}, {report['slice']}, {report['gflop']:.0f} GFLOP; {machine.in_words()} "
        f"(convolution peak: {peaks}; tile {report['tile'][0]}×{report['tile'][1]}).",
        "",
        "| way | s a slice | times the papers' way | times plain | GFLOP/s | share of peak | HU RMS to float32 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, one in rows.items():
        off = f"{one['hu_rms_to_float32']:.3f}" if "hu_rms_to_float32" in one else ""
        lines.append(
            f"| {name} | {one['seconds_per_slice']:.2f} | {one['ratio_to_patches']:.2f} | "
            f"{one['ratio_to_plain']:.2f} | "
            f"{one['gflop_per_second']:.0f} | {100 * one['share_of_peak']:.0f}% | {off} |"
        )
    if "trunk_seconds" in rows["ctloupe"]:
        found = rows["ctloupe"]
        lines += [
            "",
            f"trunk: {found['trunk_seconds']:.3f} s, {100 * found['trunk_share_of_peak']:.0f}% of the peak; all else "
            f"takes {100 * found['fine_share_of_slice']:.0f}% of the slice for "
            f"{100 * found['fine_share_of_work']:.0f}% of the arithmetic",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
