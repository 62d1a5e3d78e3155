"""Looks that are files: a page of a region that works without any server, and a picture of it."""

from __future__ import annotations

import base64
import gzip
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.display.cache import ArrayCache
from ctloupe.display.frame import Block, Placed
from ctloupe.display.place import Box, box_of, lungs_of, telling_region
from ctloupe.display.scene import PRESETS, Scene, spread, value_range
from ctloupe.display.shot import write_shot
from ctloupe.display.tiles import Tiles, as_int16
from ctloupe.enhance.region import Region, parse_region
from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.inputs import require_apart
from ctloupe.foundation.location import Location
from ctloupe.foundation.progress import Progress, Silent
from ctloupe.viewer.pages import page_files
from ctloupe.viewer.request import ViewRequest, open_scene, told_of
from ctloupe.volume.formats import parts_read

MOST_BYTES: Final = 60_000_000
"""Most bytes of voxels in a page; beyond it nobody can send it, and browsers are slow."""

_IMPORT: Final = re.compile(r'from "\./([a-z]+\.js)"')


def write_files(
    request: ViewRequest, say: Callable[[str], None] = lambda line: None, progress: Progress | None = None
) -> list[Path]:
    """Write the page and the picture that a request names.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    CtLoupeError
        If a volume cannot be read, the region is none or too large, or a file exists already.
    """
    outputs = [path for path in (request.export, request.shot) if path is not None]
    for path, suffix, name in ((request.export, ".html", "export"), (request.shot, ".png", "shot")):
        if path is not None and path.suffix.lower() != suffix:
            raise OptionError(f"`{name}` {path}: expected a name that ends in {suffix}")
    maps: list[Location | None] = [request.uncertainty, request.mask, request.labels]
    require_apart(parts_read([*(path for _, path in request.volumes), *maps]), outputs)
    scene = open_scene(request, say, progress or Silent())
    window = request.window or _window(scene)
    region = _region(scene, request.roi, window)
    if request.shot is not None:
        write_shot(scene, box_of(scene, region), window, request.shot, request.overwrite)
    if request.export is not None:
        _write_page(scene, region, request, request.export)
    return outputs


def _window(scene: Scene) -> tuple[float, float]:
    first = scene.layers[0].volume
    return PRESETS["lung"] if first.units == "HU" else value_range(first)


def _region(scene: Scene, text: str | None, window: tuple[float, float]) -> Region:
    """The region that is asked for, or one that varies much where all images are."""
    scan = scene.layers[0].volume
    if text is not None:
        return parse_region(scan.shape, roi=text)
    own = scene.tiles[0].finest
    common = []
    images = [tiles.finest for tiles, layer in zip(scene.tiles, scene.layers, strict=True) if layer.role == "image"]
    for axis in range(3):
        low = max(one.edge(axis) for one in images)
        high = min(one.edge(axis) + one.shape[axis] * one.spacing[axis] for one in images)
        first = max(0, int(np.ceil((low - own.edge(axis)) / own.spacing[axis] - 1e-3)))
        end = min(own.shape[axis], int(np.floor((high - own.edge(axis)) / own.spacing[axis] + 1e-3)))
        if end <= first:
            raise OptionError("`roi` is needed: the volumes have no place in common")
        common.append((first, end))
    where = _as_stored(scene, common)
    masks = [layer.volume for layer in scene.layers if layer.role == "mask" and layer.volume.shape == scan.shape]
    mask = masks[0].array() != 0 if masks else lungs_of(scan, where[0]) if scan.units == "HU" else None
    return telling_region(scan, window, where, mask)


def _as_stored(scene: Scene, ranges: list[tuple[int, int]]) -> Region:
    """Ranges along the axes of the frame as ranges of the scan's own indices."""
    scan, own = scene.layers[0].volume, scene.tiles[0].finest
    corners = []
    for end in (0, 1):
        at = [own.edge(axis) + ((ranges[axis][end] - end) + 0.5) * own.spacing[axis] for axis in range(3)]
        point = scene.frame.axes @ np.array(at[::-1])
        index = np.linalg.inv(scan.affine) @ np.array([*point, 1.0])
        corners.append([round(float(one)) for one in index[2::-1]])
    z, y, x = (slice(min(one, other), max(one, other) + 1) for one, other in zip(*corners, strict=True))
    return z, y, x


def _write_page(scene: Scene, region: Region, request: ViewRequest, path: Path) -> None:
    box = box_of(scene, region)
    blocks = {number: _block(tiles.finest, box) for number, tiles in enumerate(scene.tiles)}
    kept = {number: block for number, block in blocks.items() if block is not None}
    size = sum(4 * math.prod(one.stop - one.start for one in block) for block in kept.values())
    if size > MOST_BYTES:
        raise OptionError(f"`roi`: {size / 1e6:.0f} MB of voxels, expected at most {MOST_BYTES / 1e6:.0f}; give less")
    told = scene.described()
    layers, volumes = [], []
    for number, block in kept.items():
        own = scene.tiles[number].finest
        values = own.read(block)
        sent = as_int16(values) if scene.tiles[number].wire == "int16" else values.astype(np.float32)
        volumes.append(_packed(sent))
        part = own.part(block)
        owner = scene.layers[number].of
        layers.append(
            {
                **told["layers"][number],
                "of": None if owner is None else list(kept).index(owner),
                "range": list(spread(sent)),
                "shape": list(part.shape),
                "edge": [part.edge(axis) for axis in range(3)],
                "offset": [_first(own, axis, block[axis]) for axis in range(3)],
                # In the page all voxels are at hand: no plane costs more than its own.
                "planes": Tiles([replace(part, slices_along=None)], ArrayCache(0), "part").described(),
                "growing": False,
            }
        )
    content = {"scene": {**told, **told_of(request), "layers": layers, "firstPanes": 3}, "volumes": volumes}
    with replacing(path, request.overwrite) as temporary:
        temporary.write_text(_page(content), encoding="utf-8")


def _first(own: Placed, axis: int, part: slice) -> int:
    """Number that the file has for the first voxel of a part, however it counts."""
    return min(own.stored(axis, part.start), own.stored(axis, part.stop - 1))


def _block(own: Placed, box: Box) -> Block | None:
    """The voxels of a volume that lie in a box; None where it has none."""
    found = []
    for axis in range(3):
        first = max(0, int(np.floor((box.low[axis] - own.edge(axis)) / own.spacing[axis] + 1e-3)))
        end = min(own.shape[axis], int(np.ceil((box.high[axis] - own.edge(axis)) / own.spacing[axis] - 1e-3)))
        if end <= first:
            return None
        found.append(slice(first, end))
    return found[0], found[1], found[2]


def _packed(values: NDArray[Any]) -> str:
    """Voxels for the page: bytes of the same place in a number together, compressed, as text."""
    size = values.dtype.itemsize
    plain = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()
    together = np.frombuffer(plain, np.uint8).reshape(-1, size).T.tobytes()
    return base64.b64encode(gzip.compress(together, 6, mtime=0)).decode("ascii")


def _page(content: dict[str, Any]) -> str:
    """The page with its style, its modules and its voxels inside."""
    files = page_files()
    modules = {}
    for name, text in files.items():
        if name.endswith(".js"):
            named = _IMPORT.sub(r'from "ctloupe/\1"', text)
            modules[f"ctloupe/{name}"] = "data:text/javascript;base64," + base64.b64encode(named.encode()).decode()
    icon = "data:image/svg+xml;base64," + base64.b64encode(files["icon.svg"].encode()).decode()
    # What stands in the page as text must not end the element that it stands in.
    data = json.dumps(content).replace("<", "\\u003c")
    scripts = (
        f'<script type="importmap">{json.dumps({"imports": modules})}</script>\n'
        f'<script type="application/json" id="embedded">{data}</script>\n'
        '<script type="module">import "ctloupe/main.js";</script>'
    )
    page = files["index.html"].replace('href="page/icon.svg"', f'href="{icon}"')
    page = page.replace('<link rel="stylesheet" href="page/style.css">', f"<style>\n{files['style.css']}</style>")
    return page.replace('<script type="module" src="page/main.js"></script>', scripts)
