"""Blinded pictures: the scan on the left and the image of one method on the right, of one place in one window.

Names of files are the labels of the key; nothing in a file or its name depends on what the method is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ctloupe.evaluate.alignment import aligned_scale
from ctloupe.foundation.errors import GeometryError, OptionError
from ctloupe.foundation.notice import RESEARCH_NOTICE
from ctloupe.images.figures import round_length
from ctloupe.images.png import COMPRESS_LEVEL
from ctloupe.images.windows import IntensityWindow
from ctloupe.networks.bicubic import enlarge_bicubic
from ctloupe.phantom.anatomies.registry import of_value
from ctloupe.rate.design import Design, Enlargement, Pictures, Place, Row, pictures_of
from ctloupe.rate.places import corner_of
from ctloupe.volume.volume import Volume

LEAST_PIXELS: Final = 384
"""Least side of an image on the screen; smaller ones show each pixel as a square of several."""

MARGIN: Final = 16
HEAD: Final = 30
"""Pixels above the images, for captions."""
FOOT: Final = 76
"""Pixels below the images, for scale bars, window and notice."""

_GROUND, _INK = 32, 208
_SUPPORT: Final = 4
"""Voxels around a patch that its bicubic interpolation may look at; it looks at two."""


@dataclass(frozen=True)
class Subjects:
    """The volumes that a study shows.

    Attributes
    ----------
    scan
        Original clinical CT.
    enhanced
        What each method made of it, by its name.

    Raises
    ------
    OptionError
        If there is no enhanced volume.
    GeometryError
        If a volume does not lie on the finer grid of the scan, has values of another unit, or pixels are not square.
    """

    scan: Volume
    enhanced: Mapping[str, Volume]

    def __post_init__(self) -> None:
        _, height, width = self.scan.spacing
        if abs(height / width - 1) > 0.01:
            raise GeometryError(
                f"`input` has pixels of {height:g}×{width:g} mm (y, x), and pictures need square ones; resample scan "
                "and enhanced volumes first"
            )
        aligned_scale(self.scan, dict(self.enhanced))
        for name, volume in self.enhanced.items():
            if volume.units != self.scan.units:
                raise GeometryError(
                    f"{name}: has values in {volume.units}, the scan in {self.scan.units}; both are shown in one "
                    "window, so give volumes in one unit"
                )

    @property
    def scale(self) -> int:
        """Fine voxels a scan voxel."""
        return next(iter(self.enhanced.values())).shape[1] // self.scan.shape[1]


def patch_of(volume: Volume, place: Place, side: int, scale: int = 1) -> Volume:
    """Cut the patch of `side` scan voxels about a place of the scan out of a volume that is `scale` times finer.

    The patches of scan and fine volume cover one extent in mm; only their voxels are read.
    """
    z, y, x = corner_of(place, side)
    rows, columns = (slice(at * scale, (at + side) * scale) for at in (y, x))
    return volume.crop(slice(z, z + 1), rows, columns)


def enlarged_patch(scan: Volume, place: Place, side: int, scale: int, how: Enlargement) -> NDArray[np.float32]:
    """Cut a patch out of the scan and bring it to pixels `scale` times finer.

    Interpolated, it equals the same part of the interpolated slice, whatever lies outside of it.
    """
    z, y, x = corner_of(place, side)
    if how == "nearest" or scale == 1:
        patch = np.asarray(patch_of(scan, place, side).array()[0], np.float32)
        return patch.repeat(scale, 0).repeat(scale, 1)
    top, left = (max(0, at - _SUPPORT) for at in (y, x))
    around = scan.crop(slice(z, z + 1), slice(top, y + side + _SUPPORT), slice(left, x + side + _SUPPORT)).array()
    fine = enlarge_bicubic(torch.from_numpy(np.asarray(around, np.float32)[None]), scale)[0, 0].numpy()
    rows, columns = (slice(begin * scale, (begin + side) * scale) for begin in (y - top, x - left))
    return np.asarray(fine[rows, columns])


def window_for(scan: Volume, places: Sequence[Place], side: int) -> tuple[float, float]:
    """Return the window in HU of the anatomy that the patches look like by their median.

    Raises
    ------
    OptionError
        If the values are not in HU.
    """
    if scan.units != "HU":
        raise OptionError("`window` is needed: the values of the scan are not in HU, so no anatomy's window suits them")
    seen = [patch_of(scan, place, side).array() for place in places]
    return of_value(float(np.median(np.stack(seen)))).display


def grey_levels(values: NDArray[Any], window: tuple[float, float]) -> NDArray[np.uint8]:
    """Return 0 at the low end of the window and below, 255 at its high end and above, and linear between."""
    unit = IntensityWindow(*window).to_unit(values)
    return np.asarray(np.round((unit + 1) * 127.5), np.uint8)


def write_pictures(design: Design, subjects: Subjects, rows: Sequence[Row], folder: Path) -> None:
    """Write the picture of every item to ``pictures-CODE/LABEL.png``.

    Parameters
    ----------
    design
        Study whose pictures have places and a window.
    subjects
        Volumes of the methods of the design.
    rows
        Items, as `presentation` returns them.
    folder
        Folder of the study.
    """
    shown = design.pictures
    if shown is None or shown.places is None or shown.window is None:
        raise ValueError("the places and the window of the pictures are not known yet")
    scale, window = subjects.scale, shown.window
    captions = ["original", "left", "right"] if design.choice else ["original", "to be marked"]
    frame = _Frame(shown, window, scale, subjects.scan, captions)
    for rater in design.raters:
        (folder / pictures_of(rater)).mkdir()
    # In the order of the labels, so that not even the times of the files say what was drawn together.
    items: dict[str, list[Row]] = {patch: [] for patch in design.patch_names}
    for row in sorted(rows, key=lambda one: (one["rater"], one["label"])):
        items[row["patch"]].append(row)
    for patch, place in zip(design.patch_names, shown.places, strict=True):
        left = grey_levels(enlarged_patch(subjects.scan, place, shown.side, scale, shown.enlargement), window)
        rights = {
            name: grey_levels(patch_of(volume, place, shown.side, scale).array()[0], window)
            for name, volume in subjects.enhanced.items()
        }
        for row in items[patch]:
            beside = [rights[row[column]] for column in ("method", "other") if column in row]
            picture = frame.around(left, *beside)
            picture.save(
                folder / pictures_of(row["rater"]) / f"{row['label']}.png", format="PNG", compress_level=COMPRESS_LEVEL
            )


class _Frame:
    """All that pictures of a study have in common: captions, scale bars, window and notice."""

    def __init__(
        self, shown: Pictures, window: tuple[float, float], scale: int, scan: Volume, captions: Sequence[str]
    ) -> None:
        self.zoom = -(-LEAST_PIXELS // (shown.side * scale))
        self.pixels = shown.side * scale * self.zoom
        self.lefts = [MARGIN + number * (MARGIN + self.pixels) for number in range(len(captions))]
        across = MARGIN + len(captions) * (MARGIN + self.pixels)
        self.empty = Image.new("L", (across, HEAD + self.pixels + FOOT), _GROUND)
        draw = ImageDraw.Draw(self.empty)
        font, small = (ImageFont.load_default(size) for size in (15, 13))
        under = HEAD + self.pixels
        length = round_length(shown.side * scan.spacing[2] / 4)
        bar = round(length / scan.spacing[2] * scale * self.zoom)
        for left, caption in zip(self.lefts, captions, strict=True):
            draw.text((left, HEAD - 6), caption, fill=_INK, font=font, anchor="ls")
            draw.rectangle((left, under + 10, left + bar - 1, under + 14), fill=_INK)
            draw.text((left + bar + 8, under + 18), f"{length:g} mm", fill=_INK, font=font, anchor="ls")
        units = " HU" if scan.units == "HU" else ""
        told = f"black {window[0]:g}, white {window[1]:g}{units}"
        draw.text((self.empty.width - MARGIN, under + 18), told, fill=_INK, font=small, anchor="rs")
        draw.text((MARGIN, under + FOOT - 18), RESEARCH_NOTICE, fill=_INK, font=small, anchor="ls")

    def around(self, *images: NDArray[np.uint8]) -> Image.Image:
        """Return a picture with all images in their places, every pixel of theirs a square of whole pixels."""
        picture = self.empty.copy()
        for at, levels in zip(self.lefts, images, strict=True):
            picture.paste(Image.fromarray(levels.repeat(self.zoom, 0).repeat(self.zoom, 1)), (at, HEAD))
        return picture
