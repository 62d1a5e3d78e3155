"""Pictures of masks, so that a person can check them before anything is trained."""

from __future__ import annotations

from io import BytesIO
from textwrap import fill

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
    if mask.shape != volume.shape:
        raise GeometryError(f"the mask has shape {mask.shape}, the volume {volume.shape}")
    count = min(slices, volume.shape[0])
    shown = np.unique(np.linspace(0, volume.shape[0] - 1, count + 2)[1:-1].round().astype(int))
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    height_mm, width_mm = volume.shape[1] * volume.spacing[1], volume.shape[2] * volume.spacing[2]
    height = _SIDE_INCHES * height_mm / width_mm
    figure, axes = figure_of_images([(LINE_INCHES, height)] * rows, columns, _SIDE_INCHES, head=2 * LINE_INCHES)
    every = max(1, -(-max(volume.shape[1:]) // _LONGEST_SIDE))
    for axis, z in zip(axes.flat, shown, strict=False):
        plane = np.asarray(volume.data[int(z)])[::every, ::every]
        inside = mask[z][::every, ::every]
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
