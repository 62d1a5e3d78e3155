"""Power of an image by spatial frequency."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def radial_power(plane: NDArray[Any], rings: int = 64) -> NDArray[np.float64]:
    """Average the power spectrum over directions: `rings` values from the lowest frequency to Nyquist, in HU².

    The mean is taken off and a Hann window applied before.
    """
    height, width = plane.shape
    window = np.hanning(height)[:, None] * np.hanning(width)[None]
    spectrum = np.abs(np.fft.rfft2((plane - np.mean(plane)) * window)) ** 2 / np.sum(window**2)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    ring = np.minimum((frequency / 0.5 * rings).astype(np.intp), rings)
    total = np.bincount(ring.ravel(), spectrum.ravel(), rings + 1)[:-1]
    count = np.bincount(ring.ravel(), minlength=rings + 1)[:-1]
    return total / np.maximum(count, 1)
