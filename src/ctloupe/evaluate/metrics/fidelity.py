"""Fidelity: how close an image is to a reference. Each function states what its number means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ctloupe.evaluate.metrics.base import TRUTH, Accumulator, Metric
from ctloupe.evaluate.metrics.questions import RIGHT_VALUE

if TYPE_CHECKING:
    from ctloupe.evaluate.slices import ImageSlice, Reference, Setting

DATA_RANGE_HU: Final = 1500.0
"""Stated range of HU (−1000 … 500) that PSNR and SSIM refer to."""

SIGMA: Final = 1.5
RADIUS: Final = 5
"""Gaussian window of 11×11 pixels."""


def _difference(image: NDArray[Any], reference: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    if image.shape != reference.shape:
        raise ValueError(f"image and reference differ in shape: {image.shape} and {reference.shape}")
    found = np.subtract(image, reference, dtype=np.float32)
    return found if mask is None else found[mask]


def psnr(
    image: NDArray[Any], reference: NDArray[Any], *, data_range: float, mask: NDArray[np.bool_] | None = None
) -> float:
    """Peak signal-to-noise ratio, 10·log10(data_range² / MSE).

    Parameters
    ----------
    image, reference
        Same shape and units.
    data_range
        Full range of the reference in its units; it must be stated, since the number means nothing without it.
    mask
        Voxels that count; None: all.

    Returns
    -------
    float
        dB; infinite for identical images.
    """
    error = float(np.square(_difference(image, reference, mask)).mean(dtype=np.float64))
    return float("inf") if error == 0 else 10 * float(np.log10(data_range**2 / error))


def mae(image: NDArray[Any], reference: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> float:
    """Mean absolute difference, in the units of the images; 0 is perfect."""
    return float(np.abs(_difference(image, reference, mask)).mean(dtype=np.float64))


class SsimReference:
    """A slice that others are compared with; what depends on it alone is computed once.

    Structural similarity of Wang et al. 2004 (doi:10.1109/TIP.2003.819861): Gaussian window 11×11 with σ = 1.5,
    K1 = 0.01, K2 = 0.03, population covariance.

    Parameters
    ----------
    reference : (y, x)
    data_range
        The same as in `psnr`.
    """

    def __init__(self, reference: NDArray[Any], *, data_range: float) -> None:
        self._range = data_range
        # Variances do not change with a constant; without one they would be small differences of large numbers.
        self._constant = float(np.mean(reference, dtype=np.float64)) / data_range
        self._values = self._centred(reference)
        self._mean = _windowed(self._values)
        self._variance = _windowed(self._values**2) - self._mean**2

    def _centred(self, image: NDArray[Any]) -> NDArray[np.float32]:
        return np.asarray(image, np.float32) * np.float32(1 / self._range) - np.float32(self._constant)

    def map(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Similarity of `image` at each pixel, in [−1, 1]."""
        if image.shape != self._values.shape:
            raise ValueError(f"image and reference differ in shape: {image.shape} and {self._values.shape}")
        values = self._centred(image)
        mean = _windowed(values)
        covariance = _windowed(values * self._values) - mean * self._mean
        variance = _windowed(values**2) - mean**2 + self._variance
        one, other = mean + np.float32(self._constant), self._mean + np.float32(self._constant)
        c1, c2 = np.float32(0.01**2), np.float32(0.03**2)
        luminance = (2 * one * other + c1) / (one**2 + other**2 + c1)
        return np.asarray(luminance * (2 * covariance + c2) / (variance + c2), np.float32)


def _windowed(values: NDArray[np.float32]) -> NDArray[np.float32]:
    found = np.empty(values.shape, np.float32)
    gaussian_filter(values, SIGMA, radius=RADIUS, output=found)
    return found


def ssim_map(image: NDArray[Any], reference: NDArray[Any], *, data_range: float) -> NDArray[np.float32]:
    """Structural similarity at each pixel of one slice; see `SsimReference`."""
    return SsimReference(reference, data_range=data_range).map(image)


def counted_similarity(similarity: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    """Values of a similarity map that count: of the mask, or without the 5 pixels at the border."""
    return similarity[RADIUS:-RADIUS, RADIUS:-RADIUS] if mask is None else similarity[mask]


def ssim_windowed(
    image: NDArray[Any], reference: NDArray[Any], *, data_range: float, mask: NDArray[np.bool_] | None = None
) -> float:
    """Mean of `ssim_map` slice by slice, 1 for identical images.

    Without a mask the 5 pixels at the border, where the window is cut, do not count (as in scikit-image).

    Parameters
    ----------
    image, reference : (y, x) or (z, y, x)
    data_range
        The same as in `psnr`.
    mask
        Same shape; pixels that count.
    """
    if image.shape != reference.shape:
        raise ValueError(f"image and reference differ in shape: {image.shape} and {reference.shape}")
    if image.ndim == 2:
        image, reference = image[None], reference[None]
        mask = None if mask is None else mask[None]
    total, count = 0.0, 0
    for index, (a, b) in enumerate(zip(image, reference, strict=True)):
        similarity = ssim_map(a, b, data_range=data_range)
        counted = counted_similarity(similarity, None if mask is None else mask[index])
        total += float(counted.sum(dtype=np.float64))
        count += counted.size
    return total / count if count else float("nan")


class Fidelity(Accumulator):
    """Squared and absolute differences to the truth and structural similarity, over the mask and slice by slice."""

    def __init__(self, setting: Setting) -> None:
        self._squares = self._absolute = self._similarity = 0.0
        self._pixels = self._similar_pixels = 0
        self.psnr_by_slice: list[float] = []
        self.ssim_by_slice: list[float] = []
        self.mae_by_slice: list[float] = []

    def add(self, seen: ImageSlice) -> None:
        """Take a slice in HU into account."""
        off = seen.difference
        map_of_all = seen.reference.once(_similarity_reference).map(seen.plane)
        similarity = counted_similarity(map_of_all, seen.reference.inside)
        squares = float(np.square(off).sum(dtype=np.float64))
        absolute = float(np.abs(off).sum(dtype=np.float64))
        self._squares += squares
        self._absolute += absolute
        self._similarity += float(similarity.sum(dtype=np.float64))
        self._pixels += off.size
        self._similar_pixels += similarity.size
        self.psnr_by_slice.append(_decibels(squares / off.size))
        self.ssim_by_slice.append(float(similarity.mean(dtype=np.float64)) if similarity.size else float("nan"))
        self.mae_by_slice.append(absolute / off.size)

    def psnr(self) -> float:
        """Peak signal-to-noise ratio in dB."""
        return _decibels(self._squares / self._pixels)

    def ssim(self) -> float:
        """Mean structural similarity; NaN where slices are too small for its window."""
        return self._similarity / self._similar_pixels if self._similar_pixels else float("nan")

    def mae(self) -> float:
        """Mean absolute difference in HU."""
        return self._absolute / self._pixels


def _similarity_reference(reference: Reference) -> SsimReference:
    return SsimReference(reference.truth, data_range=DATA_RANGE_HU)


def _decibels(mean_square: float) -> float:
    return float("inf") if mean_square == 0 else 10 * float(np.log10(DATA_RANGE_HU**2 / mean_square))


PSNR: Final = Metric(
    key="psnr_db",
    label="PSNR (dB)",
    unit="dB",
    meaning=f"10·log10(range² / MSE) against the truth over the mask, range {DATA_RANGE_HU:g} HU; more is better",
    better="more",
    question=RIGHT_VALUE,
    needs=TRUTH,
    ideal=float("inf"),
    accumulator=Fidelity,
    read=Fidelity.psnr,
    by_slice=lambda gathered: gathered.psnr_by_slice,
)
SSIM: Final = Metric(
    key="ssim",
    label="SSIM",
    unit="",
    meaning="mean structural similarity, 11×11 Gaussian window σ 1.5, slice by slice against the truth, range "
    f"{DATA_RANGE_HU:g} HU; 1 is identical",
    better="more",
    question=RIGHT_VALUE,
    needs=TRUTH,
    ideal=1.0,
    accumulator=Fidelity,
    read=Fidelity.ssim,
    by_slice=lambda gathered: gathered.ssim_by_slice,
)
MAE: Final = Metric(
    key="mae_hu",
    label="MAE (HU)",
    unit="HU",
    meaning="mean absolute difference to the truth over the mask; 0 is perfect",
    better="less",
    question=RIGHT_VALUE,
    needs=TRUTH,
    ideal=0.0,
    accumulator=Fidelity,
    read=Fidelity.mae,
    by_slice=lambda gathered: gathered.mae_by_slice,
)
FIDELITY: Final = (PSNR, SSIM, MAE)
"""Right value at the right voxel."""
