"""A picture of a telling place, so that every enhancing ends with something to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctloupe.display.place import box_of, fullest, telling_region
from ctloupe.display.scene import Layer, Scene, with_agreement
from ctloupe.display.shot import write_shot
from ctloupe.enhance.region import Region
from ctloupe.enhance.scan_part import Mask
from ctloupe.foundation.location import Location
from ctloupe.phantom.anatomies.registry import of_value
from ctloupe.volume.formats import coarser, read
from ctloupe.volume.volume import Volume


def write_preview(scan: Volume, out: Location, mask: Mask | None, region: Region, path: Path) -> None:
    """Write a PNG of scan, enhanced volume and how they agree, at the square of the mask that varies most.

    Parameters
    ----------
    scan
        What was enhanced.
    out
        Enhanced volume, which is read back.
    mask
        Where it was enhanced; None: everywhere.
    region
        Part of the scan that was enhanced.
    path
        Picture; one that is there is replaced.

    Raises
    ------
    CtLoupeError
        If the volume cannot be read back, or the picture not be written.
    """
    enhanced = read(out)
    inside = np.asarray(scan.data[(region[0].start + region[0].stop) // 2, region[1], region[2]])
    if mask is not None:
        z = fullest(mask, region[0])
        kept = np.asarray(scan.data[z])[mask[z]]
        inside = kept if kept.size else inside
    window = of_value(float(np.median(inside))).display
    layers = [Layer("scan", "image", scan), Layer("enhanced", "image", enhanced, coarser(out, enhanced))]
    scene = Scene(with_agreement(layers))
    write_shot(scene, box_of(scene, telling_region(scan, window, region, mask)), window, path, overwrite=True)
