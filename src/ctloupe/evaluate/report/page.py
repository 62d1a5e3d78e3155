"""The page of a comparison: what was compared, in words, numbers and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from ctloupe.evaluate.comparison import Comparison
from ctloupe.evaluate.metrics.base import SizeTable
from ctloupe.evaluate.metrics.calibration import CALIBRATION, Judgement
from ctloupe.evaluate.metrics.consistency import consistency_map
from ctloupe.evaluate.metrics.resolution import ONE_SEVENTH
from ctloupe.evaluate.protocols.registry import metrics_by_label
from ctloupe.evaluate.report.crops import Crop, ranked_crops
from ctloupe.evaluate.report.pictures import Axes2D, Box, View, curves, difference_panel, panel, signed_map
from ctloupe.evaluate.report.pictures import in_words as pictured
from ctloupe.evaluate.report.report import Report, number
from ctloupe.evaluate.report.words import how_to_read, in_short, in_words, scanner_in_words, trees_in_words
from ctloupe.evaluate.tissues import TissueError
from ctloupe.phantom.anatomies.registry import of_value
from ctloupe.volume.volume import Volume

DIFFERENCE_HU: Final = 400.0
CONSISTENCY_HU: Final = 100.0
ZOOM_SHARE: Final = 0.25


@dataclass(frozen=True)
class Shown:
    """The volumes that a page shows.

    Attributes
    ----------
    scan
        The clinical CT.
    rows
        Enhanced volumes by name, bicubic first.
    truth
        Truth on the fine grid, when known.
    mask
        Mask on the grid of `scan`; it guides the choice of slice and regions.
    deviation
        Standard deviation of the last row, when there is one.
    extra
        One more view of the same physical extent, for instance a real µCT slice.
    warnings
        What a reader has to know before anything else.
    corner : (z, y, x)
        Index in the whole scan of the first voxel of `scan`, where only a part is shown; a page names slices, rows and
        columns by the indices of the whole scan.
    """

    scan: Volume
    rows: Mapping[str, Volume]
    truth: Volume | None = None
    mask: NDArray[np.bool_] | None = None
    deviation: Volume | None = None
    extra: View | None = None
    warnings: tuple[str, ...] = field(default=())
    corner: tuple[int, int, int] = (0, 0, 0)

    @property
    def scale(self) -> int:
        """Fine voxels a scan voxel."""
        return next(iter(self.rows.values())).shape[1] // self.scan.shape[1]

    def slice_of_scan(self, z: int) -> int:
        """Index in the whole scan of slice `z` of what is shown."""
        return self.corner[0] + z

    @property
    def window(self) -> tuple[float, float]:
        """Grey scale in HU: that of the anatomy that the scan's middle slice looks like."""
        return display_of(self.scan.data[self.scan.shape[0] // 2])


def add_overview(report: Report, shown: Shown) -> None:
    """Begin the page: warnings, one slice side by side, and its differences to the truth."""
    report.section("Pictures")
    for warning in shown.warnings:
        report.text(f"⚠ {warning}", "warning")
    _slice(report, shown)


def add_result(report: Report, found: Comparison) -> None:
    """Add the answer in words, and the table."""
    report.section("What was found")
    for name in list(found.rows)[1:]:
        report.text(in_short(found, name), "lead")
    for name in list(found.rows)[1:]:
        for at, sentence in enumerate(in_words(found, name)):
            report.text(f"{name}. {sentence}" if at == 0 else sentence)
    if advice := how_to_read(found.definitions):
        report.text(f"How to read this. {advice}")
    report.section("Numbers")
    report.comparison(found)
    for said in (scanner_in_words(found), trees_in_words(found)):
        if said:
            report.text(said)
    if found.data:
        made = ", ".join(f"{role} {digest[:12]}" for role, digest in found.data.items())
        report.text(f"Digests of the data: {made}. Software: {found.software}.")


def add_details(report: Report, shown: Shown) -> None:
    """Add crops chosen by rule, and where the result does not agree with the scan."""
    report.section("Best, middle and worst places")
    _crops(report, shown)
    _consistency(report, shown)


def _slice(report: Report, shown: Shown) -> None:
    scan, truth = shown.scan, shown.truth
    z = chosen_slice(scan, shown.mask)
    plane = np.asarray(scan.data[z], dtype=np.float32)
    box = chosen_box(plane, (scan.spacing[1], scan.spacing[2]), None if shown.mask is None else shown.mask[z])
    window = shown.window
    fine = [view_of(name, volume, z, window) for name, volume in shown.rows.items()]
    real = [view_of("truth", truth, z, window)] if truth is not None else []
    views = [view_of("scan", scan, z, window), *fine, *real, *([shown.extra] if shown.extra is not None else [])]
    why = "the mask is largest there" if shown.mask is not None else "it is the middle one"
    report.figure(
        partial(panel, views, zoom=box),
        f"Slice {shown.slice_of_scan(z)} of the scan, counted from 0, chosen because {why}; the yellow "
        "square, where the scan varies most, is magnified below. Pixels are not smoothed.",
        pictured(views, zoom=True),
    )
    if real:
        report.figure(
            partial(difference_panel, fine, real[0], DIFFERENCE_HU),
            f"Difference to the truth in the same slice, ±{DIFFERENCE_HU:g} HU. The finest walls cannot be known from "
            "the scan, so some speckle is expected; differences along larger structures are errors.",
            f"Differences to the truth, blue below and red above: {', '.join(view.caption for view in fine)}.",
        )


def _crops(report: Report, shown: Shown) -> None:
    name = list(shown.rows)[-1]
    _, top, left = shown.corner
    for crop in ranked_crops(shown.rows[name], shown.scan, shown.truth, shown.mask, shown.scale):
        measured = "to the truth" if shown.truth is not None else "of block means to the scan"
        views = _crop_views(shown, crop)
        report.figure(
            partial(panel, views),
            f"The {crop.rank} of all squares of {crop.side}×{crop.side} scan voxels by the mean absolute difference "
            f"{measured} of {name}: {crop.error:.0f} HU, slice {shown.slice_of_scan(crop.z)} of the scan, rows from "
            f"{top + crop.y}, columns from {left + crop.x}."
            + (" Difference: white where brighter than the truth, black where darker." if shown.truth else ""),
            pictured(views),
        )


def _crop_views(shown: Shown, crop: Crop) -> list[View]:
    scan, window = shown.scan, shown.window
    coarse, fine = (scan.spacing[1], scan.spacing[2]), tuple(edge / shown.scale for edge in scan.spacing[1:])
    views = [View("scan", crop.of(scan, 1), coarse, window)]
    small = (fine[0], fine[1])
    views += [View(name, crop.of(volume, shown.scale), small, window) for name, volume in shown.rows.items()]
    if shown.truth is not None:
        real = crop.of(shown.truth, shown.scale)
        views.append(View("truth", real, small, window))
        off = views[-2].image - real
        views.append(View(f"{views[-2].caption} − truth", off, small, (-DIFFERENCE_HU, DIFFERENCE_HU)))
    if shown.deviation is not None:
        sigma = crop.of(shown.deviation, shown.scale)
        views.append(View("uncertainty σ", sigma, small, (0.0, float(np.ceil(max(1.0, sigma.max()))))))
    return views


def _consistency(report: Report, shown: Shown) -> None:
    name, volume = list(shown.rows.items())[-1]
    z = chosen_slice(shown.scan, shown.mask)
    off = consistency_map(np.asarray(volume.data[z]), np.asarray(shown.scan.data[z]), scale=shown.scale)
    if shown.mask is not None:
        off = np.where(shown.mask[z], off, 0)
    spacing = (shown.scan.spacing[1], shown.scan.spacing[2])
    caption = f"{name}: block means − scan, slice {shown.slice_of_scan(z)} of the scan"
    report.figure(
        partial(signed_map, View(caption, off, spacing, (0, 0)), CONSISTENCY_HU),
        f"Where {name}, averaged back to the voxels of the scan, says something else than the scanner measured, "
        f"±{CONSISTENCY_HU:g} HU. The scan's own noise shows here too; structures must not.",
        f"Map of block means of {name} minus the scan, blue below and red above.",
    )


def add_curves(report: Report, found: Comparison, heading: str = "Detail by fineness") -> None:
    """Add Fourier ring correlation and power spectra."""
    if not found.curves:
        return
    report.section(heading)
    lines = {
        figure: {name: (line["x"], line["y"]) for name, line in drawn.items()} for figure, drawn in found.curves.items()
    }
    if rings := lines.get("ring correlation"):
        of_rings = Axes2D("spatial frequency (1/mm)", "ring correlation with the truth", lines={"1/7": ONE_SEVENTH})
        report.figure(
            partial(curves, rings, of_rings),
            "Fourier ring correlation: how far detail of each fineness lies where the truth has it. Where a curve "
            "falls below 1/7 its detail is no longer true; the inverse of that frequency is the resolution.",
            f"Curves of ring correlation against spatial frequency: {', '.join(rings)}.",
        )
    if powers := lines.get("power"):
        report.figure(
            partial(curves, powers, Axes2D("spatial frequency (1/mm)", "power (HU²)", log=True)),
            "Power spectra: how much detail of each fineness there is, true or not. Below the truth's: blurred. Above "
            "it: noise or invented detail.",
            f"Curves of power against spatial frequency: {', '.join(powers)}.",
        )


def add_uncertainty(
    report: Report, judged: Judgement, recalibrated: Judgement | None, names: Mapping[int, str]
) -> None:
    """Add the numbers, reliability diagram and sparsification of an uncertainty; `names` are those of the labels."""
    report.section("Uncertainty")
    both = {"as given": judged} | ({"recalibrated": recalibrated} if recalibrated is not None else {})
    report.table(
        ["number", *both],
        [[name, *(number(one.numbers[name]) for one in both.values())] for name in judged.numbers],
        "What the uncertainty is worth.",
    )
    factors = ", ".join(f"{names.get(label, 'all')} {factor:.2f}" for label, factor in judged.factors.items())
    report.text(f"Factor that would fit these errors, by tissue: {factors}. Fit it on one case, apply it to another.")
    report.terms({metric.label: metric.meaning for metric in CALIBRATION})
    report.figure(
        partial(
            curves,
            {name: (one.asked.tolist(), one.covered.tolist()) for name, one in both.items()},
            Axes2D("probability the uncertainty claims", "share of errors inside", diagonal=True),
        ),
        "Reliability: on the dotted line an interval holds as many errors as it claims; below it the uncertainty is "
        "too small, above it too large.",
        f"Curves of the share of errors inside against the probability claimed: {', '.join(both)}.",
    )
    curve = judged.sparsification
    report.figure(
        partial(
            curves,
            {
                "by σ": (curve.removed.tolist(), curve.by_deviation.tolist()),
                "by the error itself": (curve.removed.tolist(), curve.by_error.tolist()),
            },
            Axes2D("share of voxels taken away, least certain first", "mean error left"),
        ),
        "Sparsification: the error must fall as uncertain voxels are taken away. The second curve is what nothing can "
        "beat; the area between both is AUSE.",
        "Curves of the mean error left against the share of voxels taken away, by uncertainty and by the error itself.",
    )


def add_sizes(report: Report, found: Comparison) -> None:
    """Add what was found by size of the structure, in the tables that the metrics ask for."""
    sizes = found.facts.get("by size")
    if not sizes:
        return
    report.section("By size")
    first = next(iter(sizes.values()))
    known = {one.sizes.structure: one.sizes for one in metrics_by_label().values() if one.sizes is not None}
    shown = [known[structure] for structure in first if structure in known]
    for caption in dict.fromkeys(one.caption for one in shown):
        columns = [(one, size) for one in shown if one.caption == caption for size in first[one.structure]]
        report.table(
            ["row", *(one.heading.format(structure=one.structure, size=size) for one, size in columns)],
            [[row, *(_in_cell(one, by[one.structure][size]) for one, size in columns)] for row, by in sizes.items()],
            caption,
        )


def _in_cell(shown: SizeTable, values: Sequence[float]) -> str:
    return shown.cell.format(*(str(value) if isinstance(value, int) else number(value) for value in values))


def add_tissues(report: Report, tissues: Mapping[str, TissueError]) -> None:
    """Add the table of errors by tissue."""
    names = list(next(iter(tissues.values())).mae_hu)
    head = [
        "tissue",
        "voxels",
        "truth (HU)",
        *(f"{name}: bias (HU)" for name in names),
        *(f"{name}: MAE (HU)" for name in names),
    ]
    rows = [
        [
            tissue,
            f"{one.voxels:,}",
            f"{one.truth_hu:.0f}",
            *(f"{one.bias_hu[name]:+.1f}" for name in names),
            *(f"{one.mae_hu[name]:.1f}" for name in names),
        ]
        for tissue, one in tissues.items()
    ]
    report.table(
        head,
        rows,
        "Bias is the mean of enhanced − truth, MAE the mean of its magnitude, over the voxels of each label.",
    )


def chosen_slice(scan: Volume, mask: NDArray[np.bool_] | None) -> int:
    """Slice that is shown: the one with the most mask, or the middle one."""
    if mask is None or not mask.any():
        return scan.shape[0] // 2
    return int(np.argmax(mask.sum((1, 2))))


def chosen_box(plane: NDArray[np.float32], spacing: tuple[float, float], mask: NDArray[np.bool_] | None) -> Box:
    """Square that is magnified: where the scan varies most inside the mask, a quarter of the shorter side long."""
    pixels = max(4, round(ZOOM_SHARE * min(plane.shape)))
    values = plane.clip(*display_of(plane))
    spread = uniform_filter(values**2, pixels) - uniform_filter(values, pixels) ** 2
    if mask is not None and mask.any():
        spread = np.where(uniform_filter(mask.astype(np.float32), pixels) > 0.6, spread, -1)
    half = pixels // 2
    inner = spread[half : spread.shape[0] - half, half : spread.shape[1] - half]
    y, x = np.unravel_index(int(np.argmax(inner)), inner.shape)
    return Box(float(y) * spacing[0], float(x) * spacing[1], pixels * min(spacing))


def varied_square(scan: Volume, side: int, mask: NDArray[np.bool_] | None = None) -> tuple[int, int, int]:
    """Slice, first row and first column of the square of `side` voxels of the middle slice where it varies most.

    Inside of a `mask` of the scan, where one is given.
    """
    z = scan.shape[0] // 2
    spacing = (scan.spacing[1], scan.spacing[2])
    box = chosen_box(np.asarray(scan.data[z], np.float32), spacing, None if mask is None else mask[z])
    middle = (box.top + box.side / 2) / spacing[0], (box.left + box.side / 2) / spacing[1]
    y, x = (
        int(np.clip(round(centre - side / 2), 0, max(0, length - side)))
        for centre, length in zip(middle, scan.shape[1:], strict=True)
    )
    return z, y, x


def square_of(volume: Volume, scan: Volume, corner: tuple[int, int, int], side: int) -> NDArray[np.int16]:
    """Square of a fine volume that lies over `side` coarse pixels of `scan` from `corner` (z, y, x)."""
    scale = volume.shape[1] // scan.shape[1]
    z, y, x = corner
    plane = np.asarray(volume.data[z])
    return plane[y * scale : (y + side) * scale, x * scale : (x + side) * scale].astype(np.int16)


def display_of(plane: NDArray[Any]) -> tuple[float, float]:
    """Window in HU of pictures of a slice: that of the anatomy that its median suits."""
    return of_value(float(np.median(np.asarray(plane)))).display


def view_of(caption: str, volume: Volume, z: int, window: tuple[float, float] | None = None, units: str = "HU") -> View:
    """One slice of a volume, ready to be shown; without a window in that of `display_of`."""
    plane = np.asarray(volume.data[z])
    return View(caption, plane, (volume.spacing[1], volume.spacing[2]), window or display_of(plane), units)
