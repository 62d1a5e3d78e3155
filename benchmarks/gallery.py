"""Places of a real scan as every model shows them, with what is known of them, written as a page of the docs.

python benchmarks/gallery.py --scan scan/ --model SR-CycleGAN=runs/first/model --flow runs/physics-flow/model
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctloupe.enhance.preparation import prepared
from ctloupe.enhance.resolver import SuperResolver, load_model
from ctloupe.enhance.scan_part import ScanPart
from ctloupe.evaluate.metrics.mesh import mesh_by_period, tile_power, tile_side
from ctloupe.evaluate.report.pictures import View, panel
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.volume.formats import read

MARGIN = 24
"""Voxels around a place that are enhanced with it and not shown, so that no border is seen."""


@dataclass(frozen=True)
class Place:
    name: str
    z: int
    y: int
    x: int

    @classmethod
    def of(cls, text):
        name, z, y, x = text.split(",")
        return cls(name, int(z), int(y), int(x))


class Row:
    """A model that is prepared once, and asked for one square after the other."""

    def __init__(self, resolver: SuperResolver, scan, tell=lambda line: None):
        self.scale = resolver.scale
        self._enhancer = prepared(resolver.model, resolver.options, scan, None, tell)
        self._scan = scan

    def squares(self, place, side):
        """Values and deviation in HU of a square of `side` voxels."""
        top, left = max(0, place.y - MARGIN), max(0, place.x - MARGIN)
        planes = ScanPart(self._scan, None, 0).planes(place.z, place.z + 1, self._enhancer.neighbours)[0]
        around = planes[..., top : place.y + side + MARGIN, left : place.x + side + MARGIN]
        made = self._enhancer.enhance(around, None, place.z)
        s = self.scale
        y, x = (place.y - top) * s, (place.x - left) * s
        cut = slice(y, y + side * s), slice(x, x + side * s)
        return made.values[cut], None if made.deviation is None else made.deviation[cut]


def mesh(image, scale):
    """The strongest mesh of an image, in dB."""
    side = tile_side(scale) * scale
    rows, columns = image.shape[0] // side, image.shape[1] // side
    cut = image[: rows * side, : columns * side].reshape(rows, side, columns, side).transpose(0, 2, 1, 3)
    return max(mesh_by_period(tile_power(cut.reshape(-1, side, side).astype(np.float64)), scale).values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scan", type=Path, required=True)
    parser.add_argument("--model", action="append", default=[], help="NAME=FOLDER of a package, any number")
    parser.add_argument("--flow", type=Path, required=True, help="folder of a package of physics-flow")
    parser.add_argument("--place", action="append", type=Place.of, help="NAME,z,y,x of the top left corner; any number")
    parser.add_argument("--side", type=int, default=48, help="of a square, in scan voxels")
    parser.add_argument("--samples", type=int, default=4, help="of the uncertainty")
    parser.add_argument("--image", type=Path, default=Path("docs/images/gallery.png"))
    parser.add_argument("--page", type=Path, default=Path("docs/gallery.md"))
    arguments = parser.parse_args()
    scan = read(arguments.scan)
    middle = Place("middle", scan.shape[0] // 2, scan.shape[1] // 2, scan.shape[2] // 2)
    places, told = arguments.place or [middle], []
    flow = load_model(arguments.flow)
    rows = {"bicubic": Row(load_model("bicubic", flow.scale), scan)}
    trained = {}
    for text in arguments.model:
        name, _, folder = text.partition("=")
        model = load_model(folder)
        rows[name], trained[name] = Row(model, scan), model.model.training
    trained["Physics-Flow"] = flow.model.training
    rows["Physics-Flow, mean"] = Row(flow.with_options(samples=arguments.samples), scan, told.append)
    rows["Physics-Flow, a sample"] = Row(flow.with_options(output="sample"), scan)
    coarse = scan.spacing[1], scan.spacing[2]
    fine = coarse[0] / flow.scale, coarse[1] / flow.scale
    views, meshes = [], {name: [] for name in rows}
    for place in places:
        low = np.asarray(scan.data[place.z])[place.y : place.y + arguments.side, place.x : place.x + arguments.side]
        window = (-1000.0, 300.0) if np.median(low) < -400 else (-200.0, 300.0)
        views.append(View(f"{place.name}: scan", low, coarse, window))
        for name, row in rows.items():
            values, deviation = row.squares(place, arguments.side)
            meshes[name].append(mesh(values, flow.scale))
            views.append(View(name, values, fine, window))
            if deviation is not None:
                spread = View(f"σ of {arguments.samples} samples", deviation, fine, (0.0, 200.0))
        views.append(spread)
    arguments.image.write_bytes(panel(views, rows=len(places)))
    arguments.page.write_text(page(arguments, places, meshes, told, trained), encoding="utf-8")
    print(table(places, meshes))


def table(places, meshes):
    lines = ["| mesh (dB) | " + " | ".join(place.name for place in places) + " |", "|---" * (len(places) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(f"{value:.1f}" for value in found) + " |" for name, found in meshes.items()]
    return "\n".join(lines)


def in_all(training, what):
    """Steps or seconds of a training and of those that it started from."""
    before = training.get("started_from")
    return training[what] + (in_all(before, what) if before else 0)


def page(arguments, places, meshes, told, trained):
    """The page in Markdown."""
    effort = "\n".join(
        f"* {name}: preset `{one['preset']}`, {in_all(one, 'steps')} steps in {in_all(one, 'seconds') / 60:.0f} minutes"
        for name, one in trained.items()
    )
    shown = ", ".join(f"{place.name} (slice {place.z}, row {place.y}, column {place.x})" for place in places)
    image = Path("images") / arguments.image.name
    scanner = "\n".join(f"* {line}" for line in told if "plan" not in line)
    return f"""# Gallery: a real chest CT

A clinical scan that no model was trained on, and whose truth nobody knows. Written by `python benchmarks/gallery.py`.

![Squares of a chest CT: scan, {", ".join(meshes)}, standard deviation]({image.as_posix()})

Squares of {arguments.side}×{arguments.side} voxels, from top to bottom: {shown}. Pixels are not smoothed.

## How the models were trained

On phantoms like those of the demo, on one core each of a machine that did other things too, so that neither
steps nor minutes are equal: this page is to be looked at, and decides nothing between methods. Equal terms are those
of the [leaderboard](leaderboard.md).

{effort}

## What was found about the scan

{scanner}

## Mesh

How much stronger an image is at the harmonics of the scan's grid than beside them, in dB, the strongest period of each
square ([evaluation](evaluation.md)); a phantom's truth has about 1.

{table(places, meshes)}

## What to distrust

* All models were trained for minutes on phantoms of 0.625 mm voxels. This scan has other voxels, thicker slices and
  another kernel; `ctloupe enhance` says how unlike it is.
* The mean leaves out what the scan does not determine: smooth lung there is not empty lung.
* The sample invents it: its texture is that of the phantoms' µCT, and differs from seed to seed. Where σ is high, no
  single sample may be read as anatomy. Thin vessels are broken in it, and bright
  specks lie on the rims of large ones.
* A large vessel that is split by a dark line, as an airway is, where the scan shows no such line: the phantoms have
  airways beside their vessels, and the network expects them.
* Lines that end in the open, and bright rims along edges, are errors of the network or of the scan's sharp kernel.

{RESEARCH_NOTICE}
"""


if __name__ == "__main__":
    main()
