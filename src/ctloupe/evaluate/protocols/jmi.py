"""Protocols ``jmi`` and ``jmi-code``: µCT is shrunk, enhanced, and compared with itself (JMI 2022)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import zoom

from ctloupe.enhance.resolver import SuperResolver
from ctloupe.evaluate.comparison import Comparison
from ctloupe.evaluate.metrics.patch_fidelity import PATCH_FIDELITY
from ctloupe.evaluate.protocols.base import Protocol
from ctloupe.evaluate.protocols.pseudo_paired import Plane, compare_shrunk
from ctloupe.images.corner_zoom import corner_zoom
from ctloupe.images.windows import IntensityWindow
from ctloupe.volume.volume import Volume

JMI: Final = Protocol("jmi", 1, "downsampled µCT enhanced again (JMI 2022)", PATCH_FIDELITY)
JMI_CODE: Final = Protocol(
    "jmi-code", 1, "µCT downsampled as the released code does, enhanced again (JMI 2022)", PATCH_FIDELITY
)


def compare_by_jmi(
    micro: Volume,
    resolver: SuperResolver,
    micro_window: IntensityWindow,
    patches: int | None = None,
    seed: int = 0,
    protocol: Protocol = JMI,
) -> Comparison:
    """Pseudo-paired protocol of JMI 2022: enhance downsampled µCT and compare with the original.

    Each µCT slice is normalised to [−1, 1], shrunk by s with cubic interpolation *without* antialiasing, cut into
    patches of the training size, enhanced patch by patch with each patch's own normalisation statistics, and
    compared with the original patch.

    Parameters
    ----------
    micro
        µCT volume.
    resolver
        The model; plain bicubic is always a row.
    micro_window
        Window of the µCT values.
    patches
        At most so many patches, chosen by `seed`; None: all.
    protocol
        `JMI`, which samples at the centres of the coarse voxels, or `JMI_CODE`, whose first and last samples are those
        of the slice, so that what is compared drifts apart from its middle by up to half a coarse voxel.

    Raises
    ------
    GeometryError
        If slices are smaller than a patch.
    """
    size, scale = resolver.patch_size, resolver.scale
    shrunk: dict[int, Plane] = {}

    def shrink(z: int, plane: Plane, top: int, left: int) -> Plane:
        if z not in shrunk:
            shrunk.clear()
            shrunk[z] = (shrink_cubic if protocol is JMI else shrink_to_corners)(plane, scale)
        return shrunk[z][top // scale : top // scale + size, left // scale : left // scale + size]

    return compare_shrunk(protocol, micro, resolver, micro_window, shrink, patches, seed)


def shrink_cubic(image: NDArray[np.float32], scale: int) -> NDArray[np.float32]:
    """Shrink by `scale` with cubic spline interpolation at the coarse voxel centres, without antialiasing."""
    return zoom(_whole(image, scale), 1 / scale, order=3, mode="nearest", grid_mode=True).astype(np.float32)


def shrink_to_corners(image: NDArray[np.float32], scale: int) -> NDArray[np.float32]:
    """Shrink by `scale` as the released code does: cubic splines from corner to corner, without antialiasing."""
    return corner_zoom(_whole(image, scale), scale, axes=2).astype(np.float32)


def _whole(image: NDArray[np.float32], scale: int) -> NDArray[np.float32]:
    height, width = (length // scale * scale for length in image.shape)
    return image[:height, :width]
