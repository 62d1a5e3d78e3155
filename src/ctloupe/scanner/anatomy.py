"""What µCT looks like to a scanner: its power spectra, and how smooth its smoothest regions are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctloupe.scanner.noise import high_passed_share, plane_frequency, radial_spectrum, smooth_variances
from ctloupe.scanner.point_spread import gaussian_taps, spread

Images = NDArray[np.float32]

BLURS: Final = np.linspace(0.0, 1.2, 25)
"""Blurs that are tried, in clinical voxels."""

NOISES: Final = np.concatenate([[0.0], np.geomspace(2e-3, 2.0, 24)])
"""Standard deviations, after the high-pass filter of `rough_variance`, of the noise that is added to µCT, in its units
of [−1, 1]."""


@dataclass(frozen=True)
class AnatomySpectra:
    """Power spectra of µCT as a scanner with each of the blurs that are tried, and without noise, would see it.

    Attributes
    ----------
    power : (b, p // 2 - 1)
        A row for each of `BLURS`; see `radial_spectrum`.
    smooth : (b, n), or None
        High-passed variance of the smoothest regions, a row for each of `BLURS`, with white noise of each of `NOISES`.
        None where it is not known: then the smoothest regions of a scan are taken to hold nothing but noise.
    """

    power: NDArray[np.float64]
    smooth: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, micro: Images, scale: int) -> AnatomySpectra:
        """Find them from µCT patches ``(m, s·p, s·p)``, averaged over the thickness of a clinical slice."""
        seen = [seen_without_noise(micro, blur, scale) for blur in BLURS]
        white = np.random.default_rng(0).standard_normal(seen[0].shape, dtype=np.float32)
        grid = plane_frequency(*white.shape[1:])
        white /= np.float32(np.sqrt(high_passed_share(np.ones_like(grid), grid)))
        return cls(
            np.stack([radial_spectrum(images)[0] for images in seen]),
            np.stack([smooth_variances(images, white, NOISES) for images in seen]),
        )

    def smooth_variance(self, power: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the high-passed variance of the smoothest regions of noisy scans, one for each blur.

        Parameters
        ----------
        power : (b,)
            Squared contrast of the scans relative to that of the µCT, 0 or more.
        noise : (b,)
            Variance of the noise after the high-pass filter, in squared units of the scans.
        """
        if self.smooth is None:
            return noise
        squared = NOISES**2
        found = np.empty(len(BLURS))
        for index, (contrast, variance, row) in enumerate(zip(power, noise, self.smooth, strict=True)):
            # Beyond the noisiest that was tried there is nothing but noise.
            beyond = variance >= squared[-1] * contrast
            alone = variance * row[-1] / squared[-1]
            found[index] = alone if beyond else contrast * np.interp(variance / contrast, squared, row)
        return found


def seen_without_noise(micro: Images, blur: float, scale: int) -> Images:
    """Blur by a point spread in clinical voxels and average over voxels, ``(m, s·p, s·p)`` to ``(m, p, p)``.

    Along either axis it is one product with a matrix, which is many times faster than to convolve.
    """
    rows, columns = (_blurring(length, blur, scale) for length in micro.shape[1:])
    return np.asarray(rows @ micro @ columns.T)


def _blurring(length: int, blur: float, scale: int) -> Images:
    """Matrix ``(length / s, length)`` of the point spread, with the outermost pixels going on, and the mean."""
    points = np.eye(length, dtype=np.float32)[None]
    blurred = spread(points, gaussian_taps(blur * scale), 1) if blur else points
    return np.asarray(blurred[0].reshape(length // scale, scale, length).mean(1))
