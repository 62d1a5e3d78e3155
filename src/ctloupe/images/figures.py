"""Figures of images in rows, every one placed beforehand.

To let matplotlib find the places takes several times as long as to draw the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ctloupe.images.png import COMPRESS_LEVEL

DPI: Final = 110
GAP: Final = 0.1
"""Inches between images and around them."""

CAPTION: Final[dict[str, Any]] = {"fontsize": 8.5, "y": 1.0, "pad": 4}
"""How `Axes.set_title` writes a caption; where y is given, matplotlib does not look for a free place."""

LINE_INCHES: Final = 0.145
"""Height of a line of a caption."""

LETTERS: Final = 42
"""Letters of a caption that fit above an image of 2.7 inches or more."""


def figure_of_images(
    rows: Sequence[tuple[float, float]],
    columns: int,
    width: float,
    head: float = 0.0,
    right: float = 0.0,
    foot: float = 0.0,
) -> tuple[Figure, NDArray[Any]]:
    """Return a figure and its axes, which show neither ticks nor frames.

    Parameters
    ----------
    rows
        Inches kept free above each row of images, and the height of its images in inches, from the top.
    columns
        Images in a row.
    width
        Width of an image in inches.
    head, right, foot
        Inches kept free at the top, on the right and at the bottom of the figure.

    Returns
    -------
    Figure
    array of Axes : (rows, columns)
    """
    across = columns * (width + GAP) + GAP + right
    down = sum(above + height + GAP for above, height in rows) + GAP + head + foot
    figure = Figure(figsize=(across, down), dpi=DPI)
    axes = np.empty((len(rows), columns), dtype=object)
    bottom = down - head
    for row, (above, height) in enumerate(rows):
        bottom -= above + height + GAP
        for column in range(columns):
            left = GAP + column * (width + GAP)
            axis: Axes = figure.add_axes((left / across, bottom / down, width / across, height / down))
            axis.set_title("", **CAPTION)
            axis.set_axis_off()
            axes[row, column] = axis
    return figure, axes


def save_png(figure: Figure, file: IO[bytes] | Path) -> None:
    """Write a figure as PNG, at the resolution that it was made with."""
    figure.savefig(file, format="png", dpi=figure.dpi, pil_kwargs={"compress_level": COMPRESS_LEVEL})


def colour_bar(figure: Figure, axis: Axes, label: str) -> None:
    """Add the colour bar of the image of `axis` beside it, where `figure_of_images` kept 0.95 inches free."""
    place = axis.get_position()
    across = figure.get_figwidth()
    bar = figure.add_axes((place.x1 + GAP / across, place.y0, 0.12 / across, place.height))
    figure.colorbar(axis.images[0], cax=bar)
    bar.set_ylabel(label, fontsize=8.5)
    bar.tick_params(labelsize=8)


def round_length(longest: float) -> float:
    """Longest of 1, 2 and 5 times a power of ten that is no longer than `longest`: what a scale bar may show."""
    decade = 10.0 ** np.floor(np.log10(longest))
    return float(max(step * decade for step in (1, 2, 5) if step * decade <= longest))
