"""Pictures for reports, as PNG bytes: side-by-side views at one physical scale, differences, loss curves."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from textwrap import fill
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ctloupe.images.figures import (
    CAPTION,
    DPI,
    LETTERS,
    LINE_INCHES,
    colour_bar,
    figure_of_images,
    round_length,
    save_png,
)

PANEL_INCHES: Final = 2.9
"""Width of an image, and its greatest height."""

_BAR_INCHES: Final = 0.95
"""Width of a colour bar with its numbers."""

_FRAME: Final[dict[str, Any]] = {"fill": False, "edgecolor": "#ffd000", "linewidth": 1.2}


@dataclass(frozen=True)
class View:
    """One image of a panel.

    Attributes
    ----------
    caption
        Above the image.
    image : (y, x)
    spacing : (y, x) mm
    window : (low, high)
        Grey scale: black to white.
    units
        Units of the window.
    """

    caption: str
    image: NDArray[Any]
    spacing: tuple[float, float]
    window: tuple[float, float]
    units: str = "HU"


def in_words(views: Sequence[View], zoom: bool = False) -> str:
    """What a panel of `views` shows, for those who do not see it."""
    names = ", ".join(view.caption for view in views)
    return f"Side by side, at one scale: {names}" + ("; below, a magnified square of each." if zoom else ".")


@dataclass(frozen=True)
class Box:
    """A region in mm from the top left corner of the images."""

    top: float
    left: float
    side: float


def panel(views: Sequence[View], zoom: Box | None = None, rows: int = 1) -> bytes:
    """Show images side by side at the same physical size, unsmoothed, each with its window and a scale bar.

    Parameters
    ----------
    views
        All of the same physical extent.
    zoom
        Adds a second row: the inside of this box, which is marked in the first.
    rows
        Rows to spread the views over (without `zoom`).
    """
    columns = -(-len(views) // (1 if zoom else rows))
    shape = [(_above([_caption(view) for view in views]), _height(views[0]))] * (1 if zoom else rows)
    figure, axes = figure_of_images(shape + [(0.0, PANEL_INCHES)] * bool(zoom), columns, PANEL_INCHES)
    for view, axis in zip(views, axes.flat, strict=False):
        _show(axis, view)
        axis.set_title(_caption(view), **CAPTION)
        _scale_bar(axis, view)
    if zoom:
        for view, axis, below in zip(views, *axes, strict=True):
            axis.add_patch(Rectangle((zoom.left, zoom.top), zoom.side, zoom.side, **_FRAME))
            _show(below, view)
            below.set_xlim(zoom.left, zoom.left + zoom.side)
            below.set_ylim(zoom.top + zoom.side, zoom.top)
            _scale_bar(below, view)
    return _png(figure)


def difference_panel(views: Sequence[View], reference: View, limit: float) -> bytes:
    """Show image − reference for each view, blue below and red above, from −`limit` to `limit`.

    Parameters
    ----------
    views, reference
        Images on one grid.
    limit
        Largest difference shown, in the units of the images.
    """
    captions = [_wrapped(f"{view.caption} − {reference.caption}") for view in views]
    shape = [(_above(captions), _height(reference))]
    figure, axes = figure_of_images(shape, len(views), PANEL_INCHES, right=_BAR_INCHES)
    for axis, view, caption in zip(axes.flat, views, captions, strict=True):
        off = np.subtract(view.image, reference.image, dtype=np.float32)
        _show_signed(axis, replace(view, image=off), limit)
        axis.set_title(caption, **CAPTION)
    colour_bar(figure, axes[0, -1], reference.units)
    return _png(figure)


@dataclass(frozen=True)
class Axes2D:
    """Labels of a line figure.

    Attributes
    ----------
    x, y
        Labels.
    log
        Whether y is logarithmic.
    lines
        Horizontal lines by their name.
    diagonal
        Draw y = x, as reliability is judged by.
    """

    x: str
    y: str
    log: bool = False
    lines: Mapping[str, float] = field(default_factory=dict)
    diagonal: bool = False


def curves(lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], axes: Axes2D) -> bytes:
    """Draw named lines (x, y) in one figure; bicubic grey, the truth black and dashed."""
    figure = Figure(figsize=(6.4, 3.6), dpi=DPI, layout="constrained")
    axis = figure.subplots()
    colours = iter(["#0b5c8a", "#c2570c", "#3f7d20", "#7b3fa0", "#a01f4a", "#008b8b", "#7a6a00", "#444488"] * 4)
    for name, (x, y) in lines.items():
        style: dict[str, Any] = {"color": "#9aa7b0"} if name == "bicubic" else {}
        style = {"color": "black", "linestyle": "--"} if name == "truth" else style or {"color": next(colours)}
        axis.plot(x, y, label=name, linewidth=1.5, **style)
    for name, level in axes.lines.items():
        axis.axhline(level, color="#666666", linewidth=0.8, linestyle=":")
        axis.annotate(name, (0.995, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=7)
    if axes.diagonal:
        axis.plot([0, 1], [0, 1], color="#666666", linewidth=0.8, linestyle=":")
    if axes.log:
        axis.set_yscale("log")
    axis.set_xlabel(axes.x, fontsize=8.5)
    axis.set_ylabel(axes.y, fontsize=8.5)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=7.5, frameon=False)
    return _png(figure)


def signed_map(view: View, limit: float) -> bytes:
    """Show a map of signed values, blue below and red above, from −`limit` to `limit`."""
    caption = _wrapped(view.caption)
    shape = [(_above([caption]), _height(view))]
    figure, axes = figure_of_images(shape, 1, PANEL_INCHES, right=_BAR_INCHES)
    _show_signed(axes[0, 0], view, limit)
    axes[0, 0].set_title(caption, **CAPTION)
    colour_bar(figure, axes[0, 0], view.units)
    return _png(figure)


def loss_curves(steps: Sequence[float], columns: Mapping[str, Sequence[float]], x_label: str = "step") -> bytes:
    """Small multiples of loss terms, raw in grey and smoothed over 5% of the run in colour.

    Parameters
    ----------
    steps
        Common x values.
    columns
        Term to values.
    """
    across = min(4, len(columns))
    down = -(-len(columns) // across)
    figure = Figure(figsize=(3.0 * across, 2.1 * down), dpi=DPI, layout="constrained")
    axes = figure.subplots(down, across, squeeze=False)
    width = max(1, len(steps) // 20)
    for axis in axes.flat[len(columns) :]:
        axis.set_axis_off()
    for axis, (name, values) in zip(axes.flat, columns.items(), strict=False):
        line = np.asarray(values, dtype=float)
        axis.plot(steps, line, color="#b8c4cc", linewidth=0.7)
        if len(line) >= width:
            smooth = np.convolve(line, np.ones(width) / width, mode="valid")
            axis.plot(np.asarray(steps)[width - 1 :], smooth, color="#0b5c8a", linewidth=1.4)
        axis.set_title(name.replace("_", " "), fontsize=9)
        if (line > 0).all() and line.max() / line.min() > 20:
            axis.set_yscale("log")
        axis.tick_params(labelsize=7.5)
        axis.set_xlabel(x_label, fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def _caption(view: View) -> str:
    return f"{_wrapped(view.caption)}\n{view.window[0]:g} … {view.window[1]:g} {view.units}"


def _wrapped(caption: str) -> str:
    return "\n".join(fill(line, LETTERS) for line in caption.splitlines())


def _above(captions: Sequence[str]) -> float:
    """Inches that the longest of the captions takes."""
    return LINE_INCHES * (1 + max(caption.count("\n") for caption in captions))


def _height(view: View) -> float:
    """Height in inches of the place of a view, which is no higher than it is wide."""
    left, right, bottom, top = _extent(view)
    return PANEL_INCHES * min(1.0, (bottom - top) / (right - left))


def _extent(view: View) -> tuple[float, float, float, float]:
    height, width = view.image.shape
    return 0.0, width * view.spacing[1], height * view.spacing[0], 0.0


def _show(axis: Axes, view: View) -> None:
    axis.imshow(
        view.image,
        cmap="gray",
        vmin=view.window[0],
        vmax=view.window[1],
        extent=_extent(view),
        interpolation="antialiased",
    )


def _show_signed(axis: Axes, view: View, limit: float) -> None:
    axis.imshow(view.image, cmap="RdBu_r", vmin=-limit, vmax=limit, extent=_extent(view), interpolation="antialiased")
    _scale_bar(axis, view, colour="black")


def _scale_bar(axis: Axes, view: View, colour: str = "white") -> None:
    left, right = axis.get_xlim()
    bottom, top = axis.get_ylim()
    width, height = abs(right - left), abs(bottom - top)
    length = round_length(width / 4)
    x, y = right - 0.05 * width - length, bottom - 0.05 * height
    outline = "black" if colour == "white" else "white"
    axis.plot([x, x + length], [y, y], color=outline, linewidth=4.5, solid_capstyle="butt")
    axis.plot([x, x + length], [y, y], color=colour, linewidth=2.5, solid_capstyle="butt")
    text = axis.text(x + length / 2, y - 0.03 * height, f"{length:g} mm", color=colour, fontsize=7.5, ha="center")
    text.set_bbox({"facecolor": outline, "alpha": 0.45, "pad": 1, "linewidth": 0})


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    save_png(figure, stream)
    return stream.getvalue()
