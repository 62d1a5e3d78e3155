"""Pictures of masks, so that a person can check them before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ctloupe.foundation.errors import GeometryError
from ctloupe.images.figures import CAPTION, LETTERS, LINE_INCHES, figure_of_images, save_png
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.volume import Volume

SHOWN = 8
_LONGEST_SIDE = 512
_SIDE_INCHES = 2.7


def mask_overlay_png(volume: Volume, mask: NDArray[np.bool_], window: IntensityWindow, slices: int = SHOWN) -> bytes:
    """Return, as PNG, a montage of evenly spaced slices with the mask tinted and outlined.

    Parameters
    ----------
    volume
        Volume to show.
    mask : bool array of the shape of `volume`
        Mask to draw.
    window
        Values that are drawn black and white.
    slices
        Number of slices to show.

    Raises
    ------
    GeometryError
        If the mask is not on the grid of the volume.
    """
    return overlay_of(volume, mask, window, slices)()


def overlay_of(
    volume: Volume, mask: NDArray[np.bool_], window: IntensityWindow, slices: int = SHOWN
) -> Callable[[], bytes]:
    """Read the slices of a montage, and return what draws it; see `mask_overlay_png`.

    The drawing looks at neither volume nor mask any more, so that a thread may draw while the volume is read on.
    """
    if mask.shape != volume.shape:
        raise GeometryError(f"the mask has shape {mask.shape}, the volume {volume.shape}")
    count = min(slices, volume.shape[0])
    shown = np.unique(np.linspace(0, volume.shape[0] - 1, count + 2)[1:-1].round().astype(int))
    every = max(1, -(-max(volume.shape[1:]) // _LONGEST_SIDE))
    seen = [
        _Seen(int(z), np.asarray(volume.data[int(z)])[::every, ::every].copy(), mask[z][::every, ::every])
        for z in shown
    ]
    across_mm = volume.shape[1] * volume.spacing[1], volume.shape[2] * volume.spacing[2]
    return lambda: _drawn(seen, across_mm, window)


class _Seen(NamedTuple):
    """One slice of a montage: its number, what it shows, and where the mask is."""

    z: int
    plane: NDArray[Any]
    inside: NDArray[np.bool_]


def _drawn(seen: Sequence[_Seen], across_mm: tuple[float, float], window: IntensityWindow) -> bytes:
    height_mm, width_mm = across_mm
    columns = min(4, len(seen))
    rows = -(-len(seen) // columns)
    height = _SIDE_INCHES * height_mm / width_mm
    figure, axes = figure_of_images([(LINE_INCHES, height)] * rows, columns, _SIDE_INCHES, head=2 * LINE_INCHES)
    for axis, (z, plane, inside) in zip(axes.flat, seen, strict=False):
        extent = (0.0, width_mm, height_mm, 0.0)
        axis.imshow(plane, cmap="gray", vmin=window.low, vmax=window.high, extent=extent)
        tint = np.zeros((*inside.shape, 4), np.float32)
        tint[inside] = (1.0, 0.55, 0.0, 0.22)
        axis.imshow(tint, extent=extent, interpolation="nearest")
        if inside.any() and not inside.all() and min(inside.shape) > 1:
            y = (np.arange(inside.shape[0]) + 0.5) * height_mm / inside.shape[0]
            x = (np.arange(inside.shape[1]) + 0.5) * width_mm / inside.shape[1]
            axis.contour(x, y, inside, levels=[0.5], colors="#ff8c00", linewidths=0.8)
        axis.set_title(f"slice {z}, {100 * inside.mean():.0f}% masked", **CAPTION)
    figure.suptitle(
        fill(
            f"mask over {window.low:g} … {window.high:g}; {width_mm:.4g} mm across; first row of the volume on top",
            LETTERS * columns,
        ),
        fontsize=8,
    )
    made = BytesIO()
    save_png(figure, made)
    return made.getvalue()
