"""Pictures of masks, so that a person can check them before anything is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ctloupe.foundation.atomic import replacing
from ctloupe.foundation.errors import GeometryError
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.volume import Volume

SHOWN = 8
_LONGEST_SIDE = 512


def mask_overlay_png(
    volume: Volume, mask: NDArray[np.bool_], path: Path, window: IntensityWindow, slices: int = SHOWN
) -> None:
    """Write a montage of evenly spaced slices with the mask tinted and outlined.

    Parameters
    ----------
    volume
        Volume to show.
    mask : bool array of the shape of `volume`
        Mask to draw.
    path
        PNG to write.
    window
        Values that are drawn black and white.
    slices
        Number of slices to show.

    Raises
    ------
    GeometryError
        If the mask is not on the grid of the volume.
    FileError
        If the picture cannot be written.
    """
    if mask.shape != volume.shape:
        raise GeometryError(f"the mask has shape {mask.shape}, the volume {volume.shape}")
    count = min(slices, volume.shape[0])
    shown = np.unique(np.linspace(0, volume.shape[0] - 1, count + 2)[1:-1].round().astype(int))
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    height_mm, width_mm = volume.shape[1] * volume.spacing[1], volume.shape[2] * volume.spacing[2]
    side = 2.8
    figure = Figure(
        figsize=(columns * side, rows * (side * height_mm / width_mm + 0.25)), dpi=110, layout="constrained"
    )
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    every = max(1, -(-max(volume.shape[1:]) // _LONGEST_SIDE))
    for axis in axes:
        axis.set_axis_off()
        # Ticks would be laid out even where they are not drawn.
        axis.set_xticks([])
        axis.set_yticks([])
    for axis, z in zip(axes, shown, strict=False):
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
        axis.set_title(f"slice {z}, {100 * inside.mean():.0f}% masked", fontsize=8)
    figure.suptitle(
        f"mask over {window.low:g} … {window.high:g}; {width_mm:.4g} mm across; first row of the volume on top",
        fontsize=8,
    )
    with replacing(path, overwrite=True) as temporary:
        figure.savefig(temporary, format="png")
