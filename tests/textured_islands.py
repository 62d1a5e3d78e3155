"""Images that stand for µCT where a scanner is estimated: a spectrum that falls with frequency, and flat places."""

import numpy as np
from scipy.ndimage import gaussian_filter


def textured_islands(count, seed, size):
    """Return ``(count, size, size)`` float32: textured islands, and flat places in between."""
    white = np.random.default_rng(seed).standard_normal((count, size, size))
    islands = gaussian_filter(white[::-1], (0, 10, 10)) * 35
    texture = 1 + gaussian_filter(white, (0, 2.5, 2.5)) * 4
    return (np.tanh(np.maximum(islands - 0.7, 0)) * texture).astype(np.float32) - 0.6
