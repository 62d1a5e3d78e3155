"""A picture of one place in every volume of a scene, drawn without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ctloupe.display.place import Box, in_plane
from ctloupe.display.scene import Layer, Scene, value_range
from ctloupe.display.tiles import Tiles
from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.images.figures import CAPTION, GAP, LINE_INCHES, figure_of_images, round_length, save_png

INCHES: Final = 4.4
"""Width of an image."""

MOST_PIXELS: Final = 1600
"""Most pixels of a side that are read for an image: coarser levels are taken beyond."""

SPAN: Final = 100.0
"""HU at which the map of the agreement has its full colour."""

_COLUMNS: Final = 3


def write_shot(scene: Scene, box: Box, window: tuple[float, float], path: Path, overwrite: bool = False) -> None:
    """Write a PNG: the whole slice of the scan, and the box in every image and every map of agreement.

    Parameters
    ----------
    scene
        Volumes.
    box
        What is magnified; its middle slice is shown.
    window
        Values that are black and white, for volumes with the units of the first.
    path, overwrite
        File, and whether it is replaced.

    Raises
    ------
    FileError
        If the file exists without `overwrite`, or cannot be written.
    """
    shown = [number for number, layer in enumerate(scene.layers) if layer.role in ("image", "agreement")]
    (top, bottom), (left, right) = in_plane(box)
    head, foot = 2 * LINE_INCHES + 0.05, 2 * LINE_INCHES + 0.1
    height = INCHES * min(2.0, max(0.3, (bottom - top) / (right - left)))
    count = len(shown) + 1
    columns = 2 if count == 4 else min(_COLUMNS, count)
    figure, axes = figure_of_images([(head, height)] * -(-count // columns), columns, INCHES, foot=foot)
    places = list(axes.flat)
    _overview(scene, box, window, places[0])
    for number, axis in zip(shown, places[1:], strict=False):
        _magnified(scene, number, box, window, axis)
    for axis in places[count:]:
        axis.set_visible(False)
    units = " HU" if scene.layers[0].volume.units == "HU" else ""
    told = f"black {window[0]:g}, white {window[1]:g}{units}"
    if any(scene.layers[number].role == "agreement" for number in shown):
        told += f"; block mean minus scan: blue −{SPAN:g}, white 0, red +{SPAN:g} HU"
    across, down = figure.get_size_inches()
    figure.text(GAP / across, 0.1 / down, f"{told}\n{RESEARCH_NOTICE}", fontsize=8.5, va="bottom")
    with replacing(path, overwrite) as temporary:
        save_png(figure, temporary)


def _overview(scene: Scene, box: Box, window: tuple[float, float], axis: Axes) -> None:
    tiles = scene.tiles[0]
    own = tiles.finest
    index = own.nearest(box.normal, box.middle[box.normal])
    axis.set_title(f"{scene.layers[0].name}, slice {own.stored(box.normal, index or 0)}", **CAPTION)
    whole = [
        (own.edge(one), own.edge(one) + own.shape[one] * own.spacing[one]) for one in range(3) if one != box.normal
    ]
    _draw(tiles, box, whole[0], whole[1], axis, cmap="gray", vmin=window[0], vmax=window[1])
    (top, bottom), (left, right) = in_plane(box)
    axis.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, color="#ffd400", linewidth=1.2))
    _bar(axis, whole[1])


def _magnified(scene: Scene, number: int, box: Box, window: tuple[float, float], axis: Axes) -> None:
    layer, tiles = scene.layers[number], scene.tiles[number]
    down, across = in_plane(box)
    spacing = [tiles.finest.spacing[one] for one in range(3) if one != box.normal]
    axis.set_title(f"{layer.name}\npixels of {spacing[0]:.3g}×{spacing[1]:.3g} mm", **CAPTION)
    colours = _colours(scene, layer, window)
    if not _draw(tiles, box, down, across, axis, **colours):
        axis.set_title(f"{layer.name}\nhas nothing here", **CAPTION)
    _bar(axis, across)


def _colours(scene: Scene, layer: Layer, window: tuple[float, float]) -> dict[str, Any]:
    if layer.role == "agreement":
        return {"cmap": "RdBu_r", "vmin": -SPAN, "vmax": SPAN}
    low, high = window if layer.volume.units == scene.layers[0].volume.units else value_range(layer.volume)
    return {"cmap": "gray", "vmin": low, "vmax": high}


def _draw(
    tiles: Tiles, box: Box, down: tuple[float, float], across: tuple[float, float], axis: Axes, **colours: Any
) -> bool:
    """Draw the part of a plane; the axes are mm of the frame. Returns whether there is anything to draw."""
    axis.set_xlim(*across)
    # The head is up in planes across the slices, the back is down in slices.
    axis.set_ylim(*(down if box.normal != 0 else down[::-1]))
    index = tiles.finest.nearest(box.normal, box.middle[box.normal])
    if index is None or not tiles.planes[box.normal]:
        return False
    level = _level(tiles, box.normal, down, across)
    at = tiles.planes[box.normal][level]
    ranges = []
    for (low, high), edge, pixel, length in zip((down, across), at.edge, at.pixel, at.shape, strict=True):
        first, end = int(np.floor((low - edge) / pixel + 1e-6)), int(np.ceil((high - edge) / pixel - 1e-6))
        ranges.append(slice(max(0, first), min(length, end)))
    if any(one.stop <= one.start for one in ranges):
        return False
    values: NDArray[Any] = tiles.pixels(box.normal, level, index, ranges[0], ranges[1])
    ends = [
        (edge + one.start * pixel, edge + one.stop * pixel)
        for one, edge, pixel in zip(ranges, at.edge, at.pixel, strict=True)
    ]
    axis.imshow(values, extent=(*ends[1], ends[0][1], ends[0][0]), interpolation="antialiased", **colours)
    axis.set_xlim(*across)
    axis.set_ylim(*(down if box.normal != 0 else down[::-1]))
    return True


def _level(tiles: Tiles, normal: int, down: tuple[float, float], across: tuple[float, float]) -> int:
    for number, at in enumerate(tiles.planes[normal]):
        pixels = [(high - low) / pixel for (low, high), pixel in zip((down, across), at.pixel, strict=True)]
        if max(pixels) <= MOST_PIXELS:
            return number
    return len(tiles.planes[normal]) - 1


def _bar(axis: Axes, across: tuple[float, float]) -> None:
    length = round_length((across[1] - across[0]) / 4)
    low, high = axis.get_ylim()
    left, y = across[0] + 0.04 * (across[1] - across[0]), low + 0.05 * (high - low)
    told = f"{1000 * length:g} µm" if length < 1 else f"{length:g} mm"
    axis.plot([left, left + length], [y, y], color="black", linewidth=5, solid_capstyle="butt")
    axis.plot([left, left + length], [y, y], color="white", linewidth=3, solid_capstyle="butt")
    text = axis.text(left + length / 2, y + 0.03 * (high - low), told, color="white", fontsize=8.5, ha="center")
    text.set_bbox({"facecolor": "black", "alpha": 0.6, "pad": 1, "linewidth": 0})
