"""The page of a kernel pair: both scans, both answers of every row, and what differs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ctloupe.evaluate.comparison import Comparison
from ctloupe.evaluate.report.page import add_result, chosen_slice, display_of, view_of
from ctloupe.evaluate.report.pictures import View, in_words, panel
from ctloupe.evaluate.report.report import Report
from ctloupe.volume.volume import Volume

DIFFERENCE_HU = 400.0

SHOWN_MM = 60.0
"""Side of the square that is shown, at most: finer pixels than that would not be seen."""


def pair_report(
    found: Comparison,
    scans: tuple[Volume, Volume],
    rows: Mapping[str, tuple[Volume, Volume]],
    mask: NDArray[np.bool_] | None = None,
    first_slice: int = 0,
) -> Report:
    """Make the page of a comparison by ``kernel-pair``.

    Parameters
    ----------
    found
        The comparison.
    scans
        Both reconstructions.
    rows
        Both answers by name, bicubic first.
    mask : bool on the grid of the scans
        Guides the choice of the slice.
    first_slice
        Index in the whole scans of the first slice of `scans`, by which the page names slices.
    """
    report = Report(f"Evaluation, protocol {found.protocol}")
    report.section("Pictures")
    z = chosen_slice(scans[0], mask)
    window = display_of(np.asarray(scans[0].data[z]))
    for name, pair in {"scan": scans, **rows}.items():
        views = [_square(view_of(f"{name}, {which}", one, z, window)) for one, which in zip(pair, _WHICH, strict=True)]
        off = views[1].image.astype(np.float32) - views[0].image.astype(np.float32)
        views.append(View("difference", off, views[0].spacing, (-DIFFERENCE_HU, DIFFERENCE_HU)))
        caption = (
            f"{name}: slice {first_slice + z} of both reconstructions, counted from 0, and their difference, "
            f"±{DIFFERENCE_HU:g} HU."
        )
        report.figure(panel(views), caption, in_words(views))
    add_result(report, found)
    return report


_WHICH = ("input", "other input")


def _square(view: View) -> View:
    """The middle square of a view."""
    sides = [min(length, round(SHOWN_MM / edge)) for length, edge in zip(view.image.shape, view.spacing, strict=True)]
    top, left = ((length - side) // 2 for length, side in zip(view.image.shape, sides, strict=True))
    return View(view.caption, view.image[top : top + sides[0], left : left + sides[1]], view.spacing, view.window)
