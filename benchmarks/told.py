"""Can it be told from µCT? Bad enhancers made from a body's own µCT, by features and by a small network.

python benchmarks/told.py --out docs/images
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from bad_enhancers import keep

from ctloupe.evaluate.alignment import interpolated
from ctloupe.evaluate.metrics.texture import in_hu
from ctloupe.evaluate.metrics.told import Patches, patches_of, right_answers, wilson
from ctloupe.evaluate.report.page import square_of, varied_square
from ctloupe.evaluate.report.pictures import View, panel
from ctloupe.evaluate.slices import detailed_slices
from ctloupe.evaluate.suite.controls import control_rows
from ctloupe.images.windows import IntensityWindow
from ctloupe.phantom.anatomies.lung import LUNG
from ctloupe.phantom.clinical_slices import truth_on_clinical_slices
from ctloupe.phantom.phantom import make_phantom

CLINICAL, MICRO = IntensityWindow(-1000, 400), IntensityWindow(2500, 15000)
HARD = ("µCT of the truth", "meshed", "texture in the wrong place")
"""Rows that the network is asked of too: the others no classifier overlooks."""

PICTURED = ("µCT of the truth", "noisy", "meshed", "blurred")


def slices_of(volume, window):
    """Slices in [−1, 1] that are looked at closely."""
    return [window.to_unit(np.asarray(volume.data[z])) for z in sorted(detailed_slices(np.arange(volume.shape[0])))]


def features(planes):
    found = Patches()
    for plane in planes:
        found.add(plane)
    return found


def halves(planes):
    """The same patches, as they are, in the same two parts."""
    cut = [patches_of(plane) for plane in planes]
    patches, rows = (np.concatenate(both) for both in zip(*cut, strict=True))
    lower = rows >= (rows.max() + 1) // 2
    return [torch.from_numpy(patches[part][:, None].astype(np.float32)) for part in (~lower, lower)]


def network():
    layers = []
    for before, after in ((1, 16), (16, 32), (32, 32)):
        layers += [torch.nn.Conv2d(before, after, 3, padding=1), torch.nn.BatchNorm2d(after), torch.nn.ReLU()]
        layers += [torch.nn.AvgPool2d(2)]
    return torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(32, 1))


def by_network(ours, theirs, epochs):
    """Right answers and questions of a small network trained in each half and asked in the other."""
    right = asked = 0
    ours, theirs = halves(ours), halves(theirs)
    for learnt, held in ((0, 1), (1, 0)):
        torch.manual_seed(0)
        net = network()
        count = min(len(ours[learnt]), len(theirs[learnt]))
        image, micro = (one[learnt][np.linspace(0, len(one[learnt]) - 1, count).astype(int)] for one in (ours, theirs))
        both, wanted = torch.cat([image, micro]), torch.cat([torch.ones(count), torch.zeros(count)])
        optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-2)
        for _ in range(epochs):
            for part in torch.randperm(2 * count).split(64):
                turned = torch.rot90(both[part], int(torch.randint(4, ())), (2, 3))
                loss = torch.nn.functional.binary_cross_entropy_with_logits(net(turned)[:, 0], wanted[part])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        net.eval()
        count = min(len(ours[held]), len(theirs[held]))
        with torch.no_grad():
            right += int((net(ours[held][:count])[:, 0] > 0).sum()) + int((net(theirs[held][:count])[:, 0] <= 0).sum())
        asked += 2 * count
    return right, asked


def told(answers):
    low, high = wilson(*answers)
    return f"{100 * answers[0] / answers[1]:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for the picture")
    parser.add_argument("--size", type=int, nargs=3, default=[64, 512, 512])
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--epochs", type=int, default=6, help="of the network; 0: without it")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    size, seed = tuple(arguments.size), arguments.seed
    case, other = make_phantom("lung", size, seed), make_phantom("lung", size, seed + 100)
    scan = case.clinical
    truth = truth_on_clinical_slices(case.truth, scan)
    own = in_hu(case.micro, scan, MICRO, CLINICAL)
    rows = {"µCT of the truth": own, **control_rows(own, 8), "truth, not scanned": truth}
    rows["bicubic"] = interpolated(scan, 8)
    real = slices_of(other.micro, MICRO)
    start = time.perf_counter()
    learnt = features(real)
    print(f"features of the µCT: {time.perf_counter() - start:.2f} s\n")
    print("| told from µCT, % (95%) | features | s |\n|---|---|---|")
    found = {}
    for name, volume in rows.items():
        start = time.perf_counter()
        found[name] = told(right_answers(features(slices_of(volume, CLINICAL)), learnt))
        print(f"| {name} | {found[name]} | {time.perf_counter() - start:.1f} |", flush=True)
    if arguments.out is not None:
        corner = varied_square(scan, 8)
        views = [View("unpaired µCT", CLINICAL.from_unit(real[4])[:64, :64], truth.spacing[1:], LUNG.display)]
        for name in PICTURED:
            caption = f"{name}\n{found[name].split(' ')[0]}%"
            views.append(View(caption, square_of(rows[name], scan, corner, 8), truth.spacing[1:], LUNG.display))
        keep(panel(views), arguments.out / "metric-told.png")

    if arguments.epochs:
        print("\n| told from µCT, % (95%) | features | network | s |\n|---|---|---|---|", flush=True)
    for name in HARD if arguments.epochs else ():
        start = time.perf_counter()
        answers = by_network(slices_of(rows[name], CLINICAL), real, arguments.epochs)
        print(f"| {name} | {found[name]} | {told(answers)} | {time.perf_counter() - start:.1f} |", flush=True)


if __name__ == "__main__":
    main()
