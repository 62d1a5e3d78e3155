"""Looks that are files: a page of a region that works without any server, and a picture of it."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.display.frame import Placed
from ctloupe.display.place import Box, box_of, lungs_of, telling_region
from ctloupe.display.scene import PRESETS, Layer, Scene, value_range
from ctloupe.display.shot import write_shot
from ctloupe.display.tiles import COARSEST, as_int16
from ctloupe.enhance.region import Region, parse_region
from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import OptionError
from ctloupe.foundation.inputs import require_apart
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
    maps = [request.uncertainty, request.mask, request.labels]
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
    parts = [_cut(tiles.finest, box) for tiles in scene.tiles]
    kept = [number for number, part in enumerate(parts) if part is not None]
    size = sum(int(np.prod(part[0])) * 4 for part in parts if part is not None)
    if size > MOST_BYTES:
        raise OptionError(f"`roi`: {size / 1e6:.0f} MB of voxels, expected at most {MOST_BYTES / 1e6:.0f}; give less")
    layers, volumes = [], []
    told = scene.described()
    for number in kept:
        part = parts[number]
        assert part is not None
        values = scene.tiles[number].finest.read(part[1])
        wire = scene.tiles[number].wire
        sent = as_int16(values) if wire == "int16" else values.astype(np.float32)
        volumes.append(_packed(sent))
        offset = [_first(scene.tiles[number].finest, axis, part[1][axis]) for axis in range(3)]
        layers.append({**_described(told["layers"][number], scene.layers[number], part, kept, sent), "offset": offset})
    content = {"scene": {**told, **told_of(request), "layers": layers, "firstPanes": 3}, "volumes": volumes}
    with replacing(path, request.overwrite) as temporary:
        temporary.write_text(_page(content), encoding="utf-8")


def _first(own: Placed, axis: int, part: slice) -> int:
    """Number that the file has for the first voxel of a part, however it counts."""
    return min(own.stored(axis, part.start), own.stored(axis, part.stop - 1))


Part = tuple[tuple[int, int, int], tuple[slice, slice, slice], list[float]]


def _cut(own: Placed, box: Box) -> Part | None:
    """Shape, block and outer edges in mm of the part of a volume that lies in a box; None where it has none."""
    block, edges = [], []
    for axis in range(3):
        first = max(0, int(np.floor((box.low[axis] - own.edge(axis)) / own.spacing[axis] + 1e-3)))
        end = min(own.shape[axis], int(np.ceil((box.high[axis] - own.edge(axis)) / own.spacing[axis] - 1e-3)))
        if end <= first:
            return None
        block.append(slice(first, end))
        edges.append(own.edge(axis) + first * own.spacing[axis])
    z, y, x = block
    return (z.stop - z.start, y.stop - y.start, x.stop - x.start), (z, y, x), edges


def _described(told: dict[str, Any], layer: Layer, part: Part, kept: list[int], values: NDArray[Any]) -> dict[str, Any]:
    shape, _, edges = part
    low, high = (float(one) for one in np.nanquantile(values.astype(np.float32), (0.005, 0.995)))
    planes = {}
    for axis in range(3):
        down, across = (one for one in range(3) if one != axis)
        levels, factor = [], 1
        while True:
            sides = [-(-shape[one] // factor) for one in (down, across)]
            pixel = [told["spacing"][one] * factor for one in (down, across)]
            levels.append({"shape": sides, "edge": [edges[down], edges[across]], "pixel": pixel})
            if max(sides) <= COARSEST:
                break
            factor *= 2
        planes[str(axis)] = levels
    return {
        **told,
        "of": None if layer.of is None else kept.index(layer.of),
        "range": [low, high if high > low else low + 1.0],
        "shape": list(shape),
        "edge": edges,
        "planes": planes,
        "growing": False,
    }


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
