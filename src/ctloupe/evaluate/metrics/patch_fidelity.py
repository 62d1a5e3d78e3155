"""Fidelity as JMI 2022 computes it, on patches in [−1, 1]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.evaluate.metrics.base import TRUTH, Accumulator, Metric
from ctloupe.evaluate.metrics.fidelity import psnr
from ctloupe.evaluate.metrics.questions import RIGHT_VALUE

if TYPE_CHECKING:
    from ctloupe.evaluate.slices import ImageSlice, Setting

CONSTANT: Final = 1e-4
"""Both constants of its SSIM."""


def jmi_psnr(image: NDArray[Any], reference: NDArray[Any]) -> float:
    """PSNR as JMI 2022 computes it: 10·log10(1 / MSE) on data in [−1, 1].

    That takes 1 for the peak of data whose range is 2, so it is 6.02 dB below `psnr` with ``data_range=2``.
    """
    return psnr(image, reference, data_range=1.0)


def jmi_ssim(image: NDArray[Any], reference: NDArray[Any]) -> float:
    """SSIM as JMI 2022 computes it: one window over the whole image, C1 = C2 = 1e-4, data in [−1, 1].

    A windowed SSIM of the same images is a different number (`ssim_windowed`).
    """
    a, b = np.asarray(image, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"image and reference differ in shape: {a.shape} and {b.shape}")
    mean_a, mean_b = a.mean(), b.mean()
    covariance = ((a - mean_a) * (b - mean_b)).mean()
    luminance = (2 * mean_a * mean_b + CONSTANT) / (mean_a**2 + mean_b**2 + CONSTANT)
    return float(luminance * (2 * covariance + CONSTANT) / (a.var() + b.var() + CONSTANT))


class PatchFidelity(Accumulator):
    """Means over patches of the PSNR and SSIM of JMI 2022."""

    def __init__(self, setting: Setting) -> None:
        self._psnr = self._ssim = 0.0
        self._patches = 0

    def add(self, seen: ImageSlice) -> None:
        """Take a patch in [−1, 1] into account."""
        self._psnr += jmi_psnr(seen.plane, seen.reference.truth)
        self._ssim += jmi_ssim(seen.plane, seen.reference.truth)
        self._patches += 1

    def psnr(self) -> float:
        """Mean PSNR in dB."""
        return self._psnr / self._patches

    def ssim(self) -> float:
        """Mean SSIM."""
        return self._ssim / self._patches


PATCH_FIDELITY: Final = (
    Metric(
        key="psnr_peak_1_db",
        label="PSNR peak 1 (dB)",
        unit="dB",
        meaning="JMI 2022: 10·log10(1 / MSE) on data in [−1, 1]; 6.02 dB below the usual range of 2",
        better="more",
        question=RIGHT_VALUE,
        needs=TRUTH,
        ideal=float("inf"),
        accumulator=PatchFidelity,
        read=PatchFidelity.psnr,
    ),
    Metric(
        key="ssim_one_window",
        label="SSIM one window",
        unit="",
        meaning="JMI 2022: one window over the whole image, C1 = C2 = 1e-4",
        better="more",
        question=RIGHT_VALUE,
        needs=TRUTH,
        ideal=1.0,
        accumulator=PatchFidelity,
        read=PatchFidelity.ssim,
    ),
)
"""PSNR and SSIM of JMI 2022, each under a name that says so."""
