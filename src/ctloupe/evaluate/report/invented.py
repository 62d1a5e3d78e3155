"""Where an enhanced image is determined by its scan and where by what the model expects, as a picture and in words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.evaluate.report.page import Shown, chosen_box, chosen_slice, view_of
from ctloupe.evaluate.report.pictures import View, panel
from ctloupe.evaluate.report.pictures import in_words as pictured
from ctloupe.evaluate.report.report import Report
from ctloupe.foundation.errors import GeometryError
from ctloupe.volume.volume import Volume

MOSTLY: Final = 0.8
"""Share of the prior's standard deviation above which an image is called mostly invented."""


@dataclass(frozen=True)
class InventedShare:
    """How much of an image the prior has added.

    Attributes
    ----------
    mean
        Mean of the map over what was enhanced, in [0, 1].
    mostly
        Part of what was enhanced where the map is above `MOSTLY`.
    """

    mean: float
    mostly: float

    def plain(self) -> dict[str, float]:
        """Return it as plain data for JSON."""
        return {"mean share": self.mean, f"part above {MOSTLY:g}": self.mostly}


def invented_share(invented: Volume, like: Volume, mask: NDArray[np.bool_] | None) -> InventedShare:
    """Summarise a map of what is invented.

    Parameters
    ----------
    invented
        Map on the enhanced grid, 0 (determined by the scan) to 1 (invented); 0 where nothing was enhanced.
    like
        The enhanced volume that it belongs to.
    mask : bool, on the coarse grid
        Where to look; None: everywhere.

    Raises
    ------
    GeometryError
        If the map is not on the grid of the volume.
    """
    if invented.shape != like.shape or not np.allclose(invented.affine, like.affine, atol=1e-3):
        raise GeometryError("`invented` is not on the grid of the last `output`; give the map that was written with it")
    total = above = count = 0.0
    for z in range(invented.shape[0]):
        plane = np.asarray(invented.data[z], np.float32)
        inside = plane > 0
        if mask is not None:
            factor = plane.shape[0] // mask[z].shape[0]
            inside &= np.kron(mask[z], np.ones((factor, factor), bool))
        values = plane[inside]
        total, above, count = total + float(values.sum()), above + float((values > MOSTLY).sum()), count + values.size
    return InventedShare(total / max(count, 1), above / max(count, 1))


def add_invented(report: Report, shown: Shown, invented: Volume, share: InventedShare) -> None:
    """Add the map of the slice that the page shows, and what it says."""
    name, volume = list(shown.rows.items())[-1]
    scan = shown.scan
    z = chosen_slice(scan, shown.mask)
    box = chosen_box(
        np.asarray(scan.data[z], np.float32),
        (scan.spacing[1], scan.spacing[2]),
        None if shown.mask is None else shown.mask[z],
    )
    fine = (invented.spacing[1], invented.spacing[2])
    views = [
        view_of("scan", scan, z, shown.window),
        view_of(name, volume, z, shown.window),
        View("invented", np.asarray(invented.data[z]), fine, (0.0, 1.0), ""),
    ]
    report.section("What is invented")
    report.text(
        f"In {name} the scan leaves open {100 * share.mean:.0f}% of the standard deviation that images of the training "
        f"have where a scan has the same value; {100 * share.mostly:.0f}% of the pixels are above {100 * MOSTLY:.0f}%: "
        "what is seen there comes from the training, not from this scan."
    )
    report.figure(
        partial(panel, views, zoom=box),
        f"Slice {shown.slice_of_scan(z)} of the scan: black where it determines the image, white where the prior "
        "invents it.",
        pictured(views, zoom=True),
    )
