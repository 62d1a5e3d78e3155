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
    return Montage(volume, slices).overlay(volume, mask, window)()


class Montage:
    """Evenly spaced slices of a volume, of which nothing is shown yet.

    Making the figure takes a third of the drawing, and needs no voxel: a thread may do it while the volume is read.

    Parameters
    ----------
    volume
        Volume to show; only its shape and its spacing are looked at.
    slices
        Number of slices to show.
    """

    def __init__(self, volume: Volume, slices: int = SHOWN) -> None:
        count = min(slices, volume.shape[0])
        self._shape = volume.shape
        self._shown = np.unique(np.linspace(0, volume.shape[0] - 1, count + 2)[1:-1].round().astype(int))
        self._mm = volume.shape[1] * volume.spacing[1], volume.shape[2] * volume.spacing[2]
        self._columns = min(4, len(self._shown))
        rows = -(-len(self._shown) // self._columns)
        height = _SIDE_INCHES * self._mm[0] / self._mm[1]
        self._figure, self._axes = figure_of_images(
            [(LINE_INCHES, height)] * rows, self._columns, _SIDE_INCHES, head=2 * LINE_INCHES
        )

    def overlay(self, volume: Volume, mask: NDArray[np.bool_], window: IntensityWindow) -> Callable[[], bytes]:
        """Read the slices, and return what draws them, once; see `mask_overlay_png`.

        The drawing looks at neither volume nor mask any more, so that a thread may draw while the volume is read on.
        """
        if not mask.shape == volume.shape == self._shape:
            raise GeometryError(f"the mask has shape {mask.shape}, the volume {volume.shape}")
        every = max(1, -(-max(volume.shape[1:]) // _LONGEST_SIDE))
        seen = [
            _Seen(int(z), np.asarray(volume.data[int(z)])[::every, ::every].copy(), mask[z][::every, ::every])
            for z in self._shown
        ]
        return lambda: self._drawn(seen, window)

    def _drawn(self, seen: Sequence[_Seen], window: IntensityWindow) -> bytes:
        height_mm, width_mm = self._mm
        for axis, (z, plane, inside) in zip(self._axes.flat, seen, strict=False):
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
        self._figure.suptitle(
            fill(
                f"mask over {window.low:g} … {window.high:g}; {width_mm:.4g} mm across; first row of the volume on top",
                LETTERS * self._columns,
            ),
            fontsize=8,
        )
        made = BytesIO()
        save_png(self._figure, made)
        return made.getvalue()


class _Seen(NamedTuple):
    """One slice of a montage: its number, what it shows, and where the mask is."""

    z: int
    plane: NDArray[Any]
    inside: NDArray[np.bool_]
