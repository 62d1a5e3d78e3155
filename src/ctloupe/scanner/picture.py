"""A picture of a scanner: transfer function, noise spectrum and slice profile."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ctloupe.foundation.atomic import replacing
from ctloupe.images.figures import save_png
from ctloupe.scanner.estimate_noise import NoiseEstimate, unit_power
from ctloupe.scanner.scanner import Scanner
from ctloupe.scanner.voxel import voxel_transfer

_BLUE: Final = "#0b5c8a"
_GREY: Final = "#777777"
_ORANGE: Final = "#c2570c"


def scanner_png(
    scanner: Scanner, noise: NoiseEstimate, path: Path, title: str, *, blur_known: bool = True, overwrite: bool = False
) -> None:
    """Write three panels as a PNG.

    Parameters
    ----------
    scanner
        What is shown.
    noise
        Measured power spectrum, shown as points beside the described one.
    path
        File to write.
    title
        Line above the panels.
    blur_known
        Whether the point spread is known; where not, the transfer function shown is that of the voxel alone.
    overwrite
        Replace a file of that name.

    Raises
    ------
    FileError
        If the file exists without `overwrite` or cannot be written.
    """
    figure = Figure(figsize=(11.5, 3.7), dpi=110, layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    _transfer(left, scanner, blur_known)
    _noise(middle, scanner, noise)
    _profile(right, scanner)
    figure.suptitle(title, fontsize=10)
    with replacing(path, overwrite) as temporary:
        save_png(figure, temporary)


def _transfer(axis: Axes, scanner: Scanner, known: bool) -> None:
    nyquist = 0.5 / scanner.voxel[2]
    frequency = np.linspace(0, 2 * nyquist, 200)
    axis.plot(frequency, voxel_transfer(frequency, scanner.voxel[2]), color=_GREY, linestyle="--", label="voxel alone")
    blur = "point spread unknown"
    if known and scanner.blur == 0:
        blur = "point spread too narrow to show"
    elif known:
        blur = f"FWHM {scanner.fwhm:.2f} mm before the voxel"
        axis.plot(frequency, scanner.transfer(frequency), color=_BLUE, label="point spread and voxel")
    axis.axvline(nyquist, color=_GREY, linewidth=0.8)
    axis.text(nyquist, 1.0, " Nyquist", fontsize=7.5, color=_GREY, va="top")
    axis.set(xlim=(0, 2 * nyquist), ylim=(0, 1.05), xlabel="cycles / mm", ylabel="share of amplitude kept")
    axis.set_title(f"Transfer function in the plane: {blur}", fontsize=8)
    axis.legend(fontsize=7.5, frameon=False, loc="lower left")


def _noise(axis: Axes, scanner: Scanner, noise: NoiseEstimate) -> None:
    frequency = np.linspace(0.01, 0.5, 200)
    power = scanner.noise**2 * unit_power(scanner.spectrum, frequency)
    axis.plot(frequency, power, color=_BLUE, label="noise as found")
    axis.plot(noise.frequency, noise.power, "o", color=_ORANGE, markersize=4, label="smoothest regions of the scan")
    highest = max(float(power.max()), float(noise.power.max()))
    axis.set(xlim=(0, 0.5), xlabel="cycles / voxel", ylabel="power (HU²)", yscale="log")
    axis.set_ylim(highest / 300, 2 * highest)
    axis.set_title(f"Noise: {scanner.noise:.1f} HU, spectrum in the plane", fontsize=8)
    axis.legend(fontsize=7.5, frameon=False, loc="lower left")


def _profile(axis: Axes, scanner: Scanner) -> None:
    profile = scanner.slice_profile
    reach = max(profile.thickness, scanner.voxel[0])
    depth = np.linspace(-reach, reach, 300)
    axis.plot(depth, profile.curve(depth), color=_BLUE)
    for edge in (-scanner.voxel[0] / 2, scanner.voxel[0] / 2):
        axis.axvline(edge, color=_GREY, linewidth=0.8, linestyle="--")
    axis.set(xlim=(-reach, reach), ylim=(0, 1.1), xlabel="mm from the middle of the slice", ylabel="weight")
    axis.set_title(f"Slice profile, assumed: {profile.thickness:.3g} mm", fontsize=8)
