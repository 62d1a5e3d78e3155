"""Power of an image by spatial frequency."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


def radial_power(plane: NDArray[Any], rings: int = 64) -> NDArray[np.float64]:
    """Average the power spectrum over directions: `rings` values from the lowest frequency to Nyquist, in HU².

    The mean is taken off and a Hann window applied before.
    """
    window, share, ring, count = _rings(*plane.shape, rings)
    spectrum = np.abs(np.fft.rfft2((plane - np.mean(plane)) * window)) ** 2 / share
    total = np.bincount(ring, spectrum.ravel(), rings + 1)[:-1]
    return np.asarray(total / count)


@lru_cache(maxsize=4)
def _rings(height: int, width: int, rings: int) -> tuple[NDArray[Any], float, NDArray[np.intp], NDArray[np.intp]]:
    """Hann window of a plane, its power, the ring of every coefficient, and how many of them each ring has."""
    window = np.hanning(height)[:, None] * np.hanning(width)[None]
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    ring = np.minimum((frequency / 0.5 * rings).astype(np.intp), rings).ravel()
    count = np.bincount(ring, minlength=rings + 1)[:-1]
    return window, float(np.sum(window**2)), ring, np.maximum(count, 1)
