"""Pictures for reports, as PNG bytes: side-by-side views at one physical scale, differences, loss curves."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

DPI = 110
PANEL_INCHES = 2.9


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
    lines = 2 if zoom else rows
    columns = -(-len(views) // (1 if zoom else rows))
    height = lines * (PANEL_INCHES + 0.1) + 0.55 * (1 if zoom else rows)
    figure = Figure(figsize=(columns * (PANEL_INCHES + 0.12), height), dpi=DPI, layout="constrained")
    axes = np.atleast_2d(figure.subplots(lines, columns, squeeze=False))
    for axis in axes.flat:
        _without_ticks(axis)
    for index, view in enumerate(views):
        axis = axes[0, index] if zoom else axes[index // columns, index % columns]
        _show(axis, view)
        axis.set_title(_caption(view), fontsize=8.5)
        _scale_bar(axis, view)
        if zoom:
            axis.add_patch(
                Rectangle(
                    (zoom.left, zoom.top),
                    zoom.side,
                    zoom.side,
                    fill=False,
                    edgecolor="#ffd000",
                    linewidth=1.2,
                )
            )
            _show(axes[1, index], view)
            axes[1, index].set_xlim(zoom.left, zoom.left + zoom.side)
            axes[1, index].set_ylim(zoom.top + zoom.side, zoom.top)
            _scale_bar(axes[1, index], view)
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
    figure = Figure(
        figsize=(len(views) * (PANEL_INCHES + 0.12) + 0.7, PANEL_INCHES + 0.5), dpi=DPI, layout="constrained"
    )
    axes = figure.subplots(1, len(views), squeeze=False)[0]
    for axis, view in zip(axes, views, strict=True):
        off = np.subtract(view.image, reference.image, dtype=np.float32)
        axis.imshow(off, cmap="RdBu_r", vmin=-limit, vmax=limit, extent=_extent(view), interpolation="antialiased")
        axis.set_title(f"{view.caption} − {reference.caption}", fontsize=8.5)
        _without_ticks(axis)
        _scale_bar(axis, view, colour="black")
    bar = figure.colorbar(axes[-1].images[0], ax=axes, shrink=0.9, pad=0.01)
    bar.set_label(reference.units, fontsize=8.5)
    bar.ax.tick_params(labelsize=8)
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
    return _png(figure, trimmed=False)


def signed_map(view: View, limit: float) -> bytes:
    """Show a map of signed values, blue below and red above, from −`limit` to `limit`."""
    figure = Figure(figsize=(PANEL_INCHES + 1.6, PANEL_INCHES + 0.6), dpi=DPI, layout="constrained")
    axis = figure.subplots()
    axis.imshow(view.image, cmap="RdBu_r", vmin=-limit, vmax=limit, extent=_extent(view), interpolation="antialiased")
    axis.set_title(view.caption, fontsize=8.5)
    _without_ticks(axis)
    _scale_bar(axis, view, colour="black")
    bar = figure.colorbar(axis.images[0], ax=axis, shrink=0.9, pad=0.02)
    bar.set_label(view.units, fontsize=8.5)
    bar.ax.tick_params(labelsize=8)
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
        _without_ticks(axis)
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
    return _png(figure, trimmed=False)


def _without_ticks(axis: Axes) -> None:
    """Leave out the frame and the ticks, which would be laid out even where they are not drawn."""
    axis.set_axis_off()
    axis.set_xticks([])
    axis.set_yticks([])


def _caption(view: View) -> str:
    return f"{view.caption}\n{view.window[0]:g} … {view.window[1]:g} {view.units}"


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


def _scale_bar(axis: Axes, view: View, colour: str = "white") -> None:
    left, right = axis.get_xlim()
    bottom, top = axis.get_ylim()
    width, height = abs(right - left), abs(bottom - top)
    length = _round_length(width / 4)
    x, y = right - 0.05 * width - length, bottom - 0.05 * height
    outline = "black" if colour == "white" else "white"
    axis.plot([x, x + length], [y, y], color=outline, linewidth=4.5, solid_capstyle="butt")
    axis.plot([x, x + length], [y, y], color=colour, linewidth=2.5, solid_capstyle="butt")
    text = axis.text(x + length / 2, y - 0.03 * height, f"{length:g} mm", color=colour, fontsize=7.5, ha="center")
    text.set_bbox({"facecolor": outline, "alpha": 0.45, "pad": 1, "linewidth": 0})


def _round_length(longest: float) -> float:
    decade = 10.0 ** np.floor(np.log10(longest))
    return float(max(step * decade for step in (1, 2, 5) if step * decade <= longest))


def _png(figure: Figure, trimmed: bool = True) -> bytes:
    """Draw a figure; `trimmed`: without the margins that images leave, which takes a second drawing to find."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", bbox_inches="tight" if trimmed else None, pad_inches=0.05)
    return stream.getvalue()
